//! What a stored state hangs on: the options that give its entries their meaning.

use row::schema::Options;
use serde_json::{Map, Value, json};

use crate::intake::Query;
use crate::ranker::Settings;
use crate::score::Order;

/// The version of the entries.
const VERSION: u32 = 1;

/// The options that have to be the same when a state is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    fields: Map<String, Value>,
}

impl Layout {
    /// The layout of a stage that ranks rows as `rows` describes them, by `mode`.
    #[must_use]
    pub fn new(
        mode: &str,
        query: &Query,
        settings: Settings,
        every_ms: Option<i64>,
        rows: &Options,
    ) -> Layout {
        let (per, key) = query.keys.split_at(query.grouped);
        let separator = String::from_utf8_lossy(rows.field_separator.as_bytes()).into_owned();
        let fields = [
            ("version", json!(VERSION)),
            ("mode", json!(mode)),
            ("expr", json!(query.score.text)),
            ("per", json!(per)),
            ("key", json!(key)),
            ("k", json!(settings.k)),
            ("order", json!(if settings.order == Order::Least { "asc" } else { "desc" })),
            ("every_ms", json!(every_ms)),
            ("changes", json!(settings.changes)),
            ("window", json!(query.window)),
            ("input", json!(format!("{:?}", rows.form).to_lowercase())),
            ("separator", json!(separator)),
            ("names", json!(rows.names)),
            ("header_line", json!(rows.header_line)),
        ];
        Layout {
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// The layout as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// What is not as in `stored`.
    #[must_use]
    pub fn difference(&self, stored: &Value) -> Option<String> {
        let differs = |&(name, mine): &(&String, &Value)| stored.get(name) != Some(mine);
        // Of another version all fields may differ, and this one says why.
        let version = self.fields.iter().filter(|(name, _)| *name == "version");
        let (name, mine) = version.chain(&self.fields).find(differs)?;
        let theirs = stored.get(name).unwrap_or(&Value::Null);
        Some(format!("was stored with {name} {theirs}, and this is {name} {mine}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Limits;

    fn layout(k: usize) -> Layout {
        let score = row::sql::item("heat").expect("it parses");
        let keys = vec!["site".to_owned(), "page".to_owned()];
        let query = Query { score, keys, grouped: 1, window: None };
        let settings = Settings {
            k,
            order: Order::Greatest,
            keyed: true,
            grouped: true,
            changes: false,
            limits: Limits { rows: 9, bytes: 9 },
        };
        Layout::new("upsert", &query, settings, Some(5000), &Options::default())
    }

    #[test]
    fn the_difference_is_named() {
        let stored = layout(10).to_json();
        assert_eq!(layout(10).difference(&stored), None);
        let expected = "was stored with k 10, and this is k 5";
        assert_eq!(layout(5).difference(&stored).as_deref(), Some(expected));
        let expected = "was stored with version null, and this is version 1";
        assert_eq!(layout(5).difference(&json!({})).as_deref(), Some(expected));
    }
}
