use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

fn shown(text: &str) -> String {
    number(text).to_string()
}

#[test]
fn numbers_are_shown_without_exponent_and_needless_zeros() {
    for (written, expected) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("+1", "1"),
        ("007", "7"),
        ("1.500", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("-12.5E-3", "-0.0125"),
        ("1E-130", &format!("0.{}1", "0".repeat(129))),
        ("9.9e125", &format!("99{}", "0".repeat(124))),
    ] {
        assert_eq!(shown(written), expected, "{written}");
    }
}

#[test]
fn what_is_no_number_is_refused_in_the_words_of_aws() {
    for text in [
        "",
        "x",
        "1x",
        " 1",
        "1 ",
        "--1",
        "1e",
        "1e1.5",
        ".",
        "1.2.3",
        "0x10",
        "NaN",
        "1e99999999999999999999",
    ] {
        assert_eq!(
            Number::parse(text).unwrap_err().to_string(),
            format!("The parameter cannot be converted to a numeric value: {text}")
        );
    }
}

#[test]
fn the_limits_are_those_of_aws() {
    assert!(Number::parse(&"9".repeat(38)).is_ok());
    assert_eq!(Number::parse(&"9".repeat(39)), Err(NumberError::TooManyDigits));
    assert!(Number::parse(&format!("{}00", "9".repeat(38))).is_ok());
    assert!(Number::parse("9.9999999999999999999999999999999999999E+125").is_ok());
    assert_eq!(Number::parse("1E126"), Err(NumberError::Overflow));
    assert!(Number::parse("1E-130").is_ok());
    assert_eq!(Number::parse("9E-131"), Err(NumberError::Underflow));
    assert_eq!(Number::parse("0E126"), Err(NumberError::Overflow));
    assert_eq!(Number::parse("1E9223372036854775807"), Err(NumberError::Overflow));
    assert_eq!(
        Number::parse("0.1E-9223372036854775808"),
        Err(NumberError::Underflow)
    );
}

#[test]
fn a_sum_is_exact_or_refused() {
    let sum = |left: &str, right: &str| number(left).plus(number(right));
    assert_eq!(sum("0.1", "0.2"), Ok(number("0.3")));
    assert_eq!(sum("1E38", "-1"), Ok(number(&"9".repeat(38))));
    assert_eq!(sum("1E38", "1"), Err(NumberError::TooManyDigits));
    assert_eq!(sum("1E125", "1E-130"), Err(NumberError::TooManyDigits));
    assert_eq!(sum("9.5E125", "0.5E125"), Err(NumberError::Overflow));
    assert_eq!(sum("1.1E-130", "-1E-130").unwrap_err(), NumberError::Underflow);
    let nines = format!("{}5", "9".repeat(37));
    assert_eq!(sum(&nines, &nines), Ok(number(&format!("1{}0", "9".repeat(37)))));
    assert_eq!(number("5").minus(number("7")), Ok(number("-2")));
}

#[test]
fn a_size_counts_pairs_of_digits_on_both_sides_of_the_point() {
    for (text, size) in [
        ("0", 1),
        ("7", 2),
        ("100", 2),
        ("123", 3),
        ("-1", 3),
        ("1.5", 3),
        ("0.001", 2),
        ("1234.567", 5),
    ] {
        assert_eq!(number(text).size(), size, "{text}");
    }
}

/// Digits, exponent: a number in the form that the reference takes.
fn any_number() -> impl Strategy<Value = (i128, i32)> {
    let most = 10_i128.pow(38) - 1;
    prop_oneof![
        (-most..=most, -88_i32..=88),
        (-999_i128..=999, -40_i32..=40),
        (Just(0), Just(0)),
    ]
}

fn of((digits, exponent): (i128, i32)) -> Number {
    number(&format!("{digits}E{exponent}"))
}

/// The same, as a whole number of 1E-90.
fn reference((digits, exponent): (i128, i32)) -> BigInt {
    BigInt::from(digits) * BigInt::from(10).pow(u32::try_from(exponent + 90).unwrap())
}

proptest! {
    #[test]
    fn order_is_that_of_the_values(left in any_number(), right in any_number()) {
        prop_assert_eq!(of(left).cmp(&of(right)), reference(left).cmp(&reference(right)));
        prop_assert_eq!(of(left) == of(right), reference(left) == reference(right));
    }

    #[test]
    fn a_sum_is_the_exact_one_or_has_too_many_digits(left in any_number(), right in any_number()) {
        let exact = reference(left) + reference(right);
        let significant = exact.to_string();
        let significant = significant.trim_start_matches('-').trim_end_matches('0').len();
        match of(left).plus(of(right)) {
            Ok(sum) => prop_assert_eq!(sum, number(&format!("{exact}E-90"))),
            Err(error) => {
                prop_assert_eq!(error, NumberError::TooManyDigits);
                prop_assert!(significant > 38, "{} has {} digits", exact, significant);
            }
        }
    }

    #[test]
    fn what_is_shown_is_the_same_number(digits in any_number()) {
        let shown = of(digits).to_string();
        prop_assert!(!shown.contains('E'));
        prop_assert_eq!(number(&shown), of(digits));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,60}") {
        if let Ok(number) = Number::parse(&text) {
            prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        }
    }
}
