//! The topic edge of kpipe: configuration, producer and consumer.

#![deny(unsafe_code)]

pub mod archive;
pub mod changelog;
pub mod cluster;
pub mod config;
pub mod consumer;
mod context;
mod creation;
pub mod draft;
pub mod envelope;
mod failure;
pub mod flags;
mod haste;
mod jaas;
mod java;
pub mod key;
pub mod listing;
pub mod mock;
pub mod mould;
mod native;
pub mod note;
mod patience;
pub mod producer;
pub mod properties;
pub mod record;
pub mod rows;
mod scout;
pub mod trouble;
