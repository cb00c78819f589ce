//! What a stored state hangs on: the options that give its entries their meaning.

use row::schema::Options;
use serde_json::{Value as Json, json};

use crate::intake::Query;
use crate::ranker::Settings;
use crate::score::Order;

/// The version of the entries.
const VERSION: u32 = 1;

/// The options that have to be the same when the state of a stage that ranks rows as `rows`
/// describes them, by `mode`, is taken back.
#[must_use]
pub fn of(
    mode: &str,
    query: &Query,
    settings: Settings,
    every_ms: Option<i64>,
    rows: &Options,
) -> Json {
    let (per, key) = query.keys.split_at(query.grouped);
    let separator = String::from_utf8_lossy(rows.field_separator.as_bytes()).into_owned();
    let order = if settings.order == Order::Least { "asc" } else { "desc" };
    let input = format!("{:?}", rows.form).to_lowercase();
    json!({
        "version": VERSION,
        "mode": mode,
        "expr": query.score.text,
        "per": per,
        "key": key,
        "k": settings.k,
        "order": order,
        "every_ms": every_ms,
        "changes": settings.changes,
        "window": query.window,
        "input": input,
        "separator": separator,
        "names": rows.names,
        "header_line": rows.header_line,
    })
}
