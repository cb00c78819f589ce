//! What Java's `sasl.jaas.config` says: a login module and its options.

/// A login module with its options, as `CLASS required name="value" …;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// The last part of the class's name.
    pub(crate) module: String,
    options: Vec<(String, String)>,
}

impl Login {
    /// Reads the text, of which Java wants exactly one module with a `;` at its end.
    ///
    /// # Errors
    /// When it is none. What is wrong is not shown, as it may be the password.
    pub(crate) fn read(text: &str) -> Result<Login, &'static str> {
        let text = text.trim();
        let text = text.strip_suffix(';').ok_or("a login module ends in a semicolon")?;
        let mut words = words(text)?.into_iter();
        let class = words.next().ok_or("the name of a login module is missing")?;
        let flags = ["required", "requisite", "sufficient", "optional"];
        if !words.next().is_some_and(|flag| flags.contains(&flag.to_lowercase().as_str())) {
            return Err("the control flag `required` is missing");
        }
        let option = |word: String| -> Result<(String, String), &'static str> {
            let (key, value) = word.split_once('=').ok_or("an option is name=\"value\"")?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let module = class.rsplit('.').next().unwrap_or(&class).to_owned();
        Ok(Login { module, options: words.map(option).collect::<Result<_, _>>()? })
    }

    /// The value of the option `name`.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The words of a text: blanks part them except in quotes, which are taken off; in them a
/// backslash makes the next letter an ordinary one.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quote is not closed") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_a_class_a_flag_and_options() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule required\n \
                    username=\"a b\" password='c\\'\"; =d' ;";
        let login = Login::read(text).expect("a module");
        assert_eq!(login.module, "PlainLoginModule");
        assert_eq!(login.option("username"), Some("a b"));
        assert_eq!(login.option("password"), Some("c'\"; =d"));
        assert_eq!(login.option("token"), None);
    }

    #[test]
    fn what_is_wrong_is_not_shown() {
        for bad in
            ["X required hunter2", "X hunter2;", ";", "X required hunter2;", "X required \"a;"]
        {
            let reason = Login::read(bad).expect_err("no module");
            assert!(!reason.contains("hunter2"));
        }
    }
}
