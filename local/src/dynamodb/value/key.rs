//! Keys as bytes: their order is the order of the values, and none is the beginning of another, so that they can be joined.
//!
//! Text and bytes: each 0 becomes `0 255`, and `0 0` ends them. Numbers: a sign (1 below zero, 2 zero, 3 above), the magnitude, two
//! digits a byte, one more than their value, and a 0; below zero all but the sign is inverted.

use crate::dynamodb::value::number::{LEAST_MAGNITUDE, Number};
use crate::dynamodb::value::{Invalid, Value};

/// What a key attribute can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum KeyType {
    S,
    N,
    B,
}

impl KeyType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }

    pub(crate) fn is_of(self, value: &Value) -> bool {
        self.name() == value.type_name()
    }
}

/// Appends a key's bytes.
///
/// # Errors
/// When the value is not text, a number or bytes.
pub(crate) fn append_key(to: &mut Vec<u8>, value: &Value) -> Result<(), Invalid> {
    match value {
        Value::N(number) => append_number(to, *number),
        _ => {
            append_key_prefix(to, value)?;
            to.extend([0, 0]);
        }
    }
    Ok(())
}

/// Appends what the bytes of all keys begin with that begin with that text or those bytes, and of no others.
///
/// # Errors
/// When the value is not text or bytes.
pub(crate) fn append_key_prefix(to: &mut Vec<u8>, value: &Value) -> Result<(), Invalid> {
    let bytes = match value {
        Value::S(text) => text.as_bytes(),
        Value::B(bytes) => bytes.as_slice(),
        _ => {
            return Err(Invalid::parameter(format_args!(
                "Invalid type for a key attribute: {}",
                value.type_name()
            )));
        }
    };
    for part in bytes.split_inclusive(|byte| *byte == 0) {
        to.extend(part);
        if part.ends_with(&[0]) {
            to.push(255);
        }
    }
    Ok(())
}

fn append_number(to: &mut Vec<u8>, number: Number) {
    if number.is_zero() {
        to.push(2);
        return;
    }
    to.push(if number.is_negative() { 1 } else { 3 });
    let begin = to.len();
    let magnitude = i64::from(number.magnitude()) - LEAST_MAGNITUDE;
    to.push(u8::try_from(magnitude).unwrap_or(u8::MAX));
    let mut rest = number.aligned();
    let mut pair = 10_u128.pow(36);
    while rest > 0 {
        to.push(u8::try_from(rest / pair).unwrap_or(0) + 1);
        rest %= pair;
        pair /= 100;
    }
    to.push(0);
    if number.is_negative() {
        to[begin..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(values: &[&Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in values {
            append_key(&mut bytes, value).unwrap();
        }
        bytes
    }

    fn number() -> impl Strategy<Value = Value> {
        let most = 10_i128.pow(38) - 1;
        prop_oneof![
            (-most..=most, -165_i32..=87),
            (-120_i128..=120, -3_i32..=3),
            (Just(1), -130..=125),
            (Just(-1), -130..=125),
        ]
        .prop_filter_map("out of range", |(digits, exponent)| {
            Number::parse(&format!("{digits}E{exponent}")).ok().map(Value::N)
        })
    }

    fn text() -> impl Strategy<Value = Value> {
        "[\u{0}\u{1}ab\u{ff}\u{10000}]{0,4}".prop_map(Value::S)
    }

    fn bytes() -> impl Strategy<Value = Value> {
        let byte = prop::sample::select(vec![0_u8, 1, 2, 97, 254, 255]);
        prop::collection::vec(byte, 0..5).prop_map(Value::B)
    }

    /// What orders two keys of one type.
    fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
        match (left, right) {
            (Value::S(left), Value::S(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Value::N(left), Value::N(right)) => left.cmp(right),
            (Value::B(left), Value::B(right)) => left.cmp(right),
            _ => panic!("{left:?} and {right:?} are not of one type"),
        }
    }

    fn pair() -> impl Strategy<Value = (Value, Value)> {
        prop_oneof![(number(), number()), (text(), text()), (bytes(), bytes())]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn keys_are_in_the_order_of_their_values((left, right) in pair()) {
            prop_assert_eq!(key(&[&left]).cmp(&key(&[&right])), order(&left, &right));
        }

        #[test]
        fn two_keys_in_a_row_are_ordered_by_the_first_and_then_by_the_second(
            (first, other_first) in pair(),
            (second, other_second) in pair(),
        ) {
            let expected = order(&first, &other_first).then_with(|| order(&second, &other_second));
            let (left, right) = (key(&[&first, &second]), key(&[&other_first, &other_second]));
            prop_assert_eq!(left.cmp(&right), expected);
        }

        #[test]
        fn a_prefix_is_the_beginning_of_exactly_the_keys_that_begin_with_it(
            (prefix, whole) in prop_oneof![(text(), text()), (bytes(), bytes())],
        ) {
            let mut begins = Vec::new();
            append_key_prefix(&mut begins, &prefix).unwrap();
            let expected = match (&prefix, &whole) {
                (Value::S(prefix), Value::S(whole)) => whole.starts_with(prefix.as_str()),
                (Value::B(prefix), Value::B(whole)) => whole.starts_with(prefix),
                _ => unreachable!(),
            };
            prop_assert_eq!(key(&[&whole]).starts_with(&begins), expected);
        }
    }

    #[test]
    fn other_types_have_no_key() {
        for value in [Value::Null, Value::Bool(true), Value::L(vec![])] {
            assert!(append_key(&mut Vec::new(), &value).is_err(), "{value:?}");
        }
        assert!(append_key_prefix(&mut Vec::new(), &Value::N(Number::ZERO)).is_err());
    }
}
