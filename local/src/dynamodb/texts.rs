//! What texts were read as: requests have the same few again and again, with other values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many texts are kept; with one more all are forgotten.
const MOST: usize = 200;

/// Texts, and what each was read as.
pub(crate) struct Texts<T>(Mutex<BTreeMap<String, Arc<T>>>);

impl<T> Texts<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// What the text was read as before, or is read as now. What cannot be read is not kept.
    pub(crate) fn read<E>(&self, text: &str, read: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().get(text) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(read()?);
        let mut kept = kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(text.to_owned(), Arc::clone(&read));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_and_what_cannot_be_read_each_time() {
        let texts = Texts::new();
        assert_eq!(texts.read("a", || Err::<u8, _>("unreadable")), Err("unreadable"));
        assert_eq!(texts.read("a", || Ok::<_, ()>(1)), Ok(Arc::new(1)));
        assert_eq!(texts.read("a", || Err("read again")), Ok(Arc::new(1)));
    }

    #[test]
    fn only_so_many_texts_are_kept() {
        let texts = Texts::new();
        for number in 0..=MOST {
            let _ = texts.read(&number.to_string(), || Ok::<_, ()>(number));
            assert!(texts.0.lock().unwrap().len() <= MOST);
        }
        assert_eq!(texts.read("0", || Ok::<_, ()>(7)), Ok(Arc::new(7)));
    }
}
