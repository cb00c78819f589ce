//! Words for the column kind `words`: the commonest ones of a shop's talk.

/// All of them; none needs an escape in any form.
pub const WORDS: [&str; 128] = [
    "account", "address", "after", "again", "all", "and", "answer", "apple", "around", "article",
    "autumn", "bag", "basket", "before", "best", "better", "big", "bill", "black", "blue", "book",
    "box", "bread", "bright", "broken", "brown", "buy", "call", "card", "care", "cash", "change",
    "cheap", "check", "city", "clean", "clear", "cloth", "coat", "coffee", "cold", "color", "come",
    "cost", "count", "cup", "customer", "date", "day", "deliver", "door", "dress", "early", "east",
    "easy", "empty", "evening", "fair", "fast", "find", "fine", "first", "fish", "floor", "fresh",
    "friend", "from", "fruit", "garden", "gift", "give", "glass", "gold", "good", "great", "green",
    "hand", "happy", "hat", "heavy", "home", "house", "kitchen", "lamp", "large", "last", "late",
    "leaf", "letter", "light", "little", "long", "market", "milk", "money", "morning", "name",
    "new", "night", "north", "number", "offer", "old", "open", "orange", "order", "paper", "pay",
    "piece", "plate", "price", "quick", "quiet", "rain", "red", "river", "road", "sale", "ship",
    "shoe", "shop", "silver", "small", "soft", "south", "summer", "table", "tea",
];

#[test]
fn words_differ_and_are_letters_alone() {
    let mut words = WORDS.to_vec();
    words.dedup();
    assert_eq!(words.len(), WORDS.len());
    assert!(
        words.is_sorted()
            && words.iter().all(|word| {
                !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase())
            })
    );
}
