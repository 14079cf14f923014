//! DynamoDB's numbers: decimal, exact, up to 38 significant digits, magnitudes from 1E-130 to 9.9…E+125.

use std::cmp::Ordering;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::dynamodb::value::invalid::Invalid;

const MAX_DIGITS: u32 = 38;

/// The exponents of the first digit, the point being behind it.
pub(super) const LEAST_MAGNITUDE: i64 = -130;
pub(super) const GREATEST_MAGNITUDE: i64 = 125;

/// `digits` times ten to the `exponent`. The last digit is not a zero, unless the number is zero, whose exponent is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Number {
    digits: i128,
    exponent: i16,
}

/// Why there is no such number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotANumber(String),
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
}

impl From<NumberError> for Invalid {
    fn from(error: NumberError) -> Self {
        Self::new(error.to_string())
    }
}

impl Number {
    pub(crate) const ZERO: Self = Self {
        digits: 0,
        exponent: 0,
    };

    /// # Errors
    /// When the text is not a number, or one that DynamoDB cannot store.
    pub(crate) fn parse(text: &str) -> Result<Self, NumberError> {
        let not_a_number = || NumberError::NotANumber(text.to_owned());
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (coefficient, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((coefficient, exponent)) => {
                (coefficient, exponent.parse::<i64>().map_err(|_| not_a_number())?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = coefficient.split_once('.').unwrap_or((coefficient, ""));
        let written = [whole, fraction].concat();
        if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(not_a_number());
        }
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        let written = written.trim_start_matches('0');
        let significant = written.trim_end_matches('0');
        if significant.is_empty() {
            // AWS looks at the exponent of a zero too.
            return check_magnitude(exponent).map(|()| Self::ZERO);
        }
        if significant.len() > MAX_DIGITS as usize {
            return Err(NumberError::TooManyDigits);
        }
        let zeros = i64::try_from(written.len() - significant.len()).unwrap_or(i64::MAX);
        let digits = significant.parse::<u128>().map_err(|_| not_a_number())?;
        Self::new(text.starts_with('-'), digits, exponent.saturating_add(zeros))
    }

    /// # Errors
    /// When the sum is not a number that DynamoDB can store.
    pub(crate) fn plus(self, other: Self) -> Result<Self, NumberError> {
        if self.digits == 0 || other.digits == 0 {
            return Ok(if self.digits == 0 { other } else { self });
        }
        let (high, low) = match self.exponent >= other.exponent {
            true => (self, other),
            false => (other, self),
        };
        // Where it does not fit, the sum has a digit in too many places: the last one of `low` is not a zero.
        let scale = 10_u128
            .checked_pow(u32::from(high.exponent.abs_diff(low.exponent)))
            .ok_or(NumberError::TooManyDigits)?;
        let large = high
            .digits
            .unsigned_abs()
            .checked_mul(scale)
            .ok_or(NumberError::TooManyDigits)?;
        let small = low.digits.unsigned_abs();
        let (negative, digits) = match high.digits.is_negative() == low.digits.is_negative() {
            true => (
                high.digits.is_negative(),
                large.checked_add(small).ok_or(NumberError::TooManyDigits)?,
            ),
            false if large >= small => (high.digits.is_negative(), large - small),
            false => (low.digits.is_negative(), small - large),
        };
        Self::new(negative, digits, i64::from(low.exponent))
    }

    /// # Errors
    /// When the difference is not a number that DynamoDB can store.
    pub(crate) fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(Self {
            digits: -other.digits,
            ..other
        })
    }

    fn new(negative: bool, mut digits: u128, mut exponent: i64) -> Result<Self, NumberError> {
        if digits == 0 {
            return Ok(Self::ZERO);
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent = exponent.saturating_add(1);
        }
        let length = digits.ilog10() + 1;
        if length > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        check_magnitude(exponent.saturating_add(i64::from(length) - 1))?;
        // 38 digits and such a magnitude fit.
        let digits = i128::try_from(digits).map_err(|_| NumberError::TooManyDigits)?;
        Ok(Self {
            digits: if negative { -digits } else { digits },
            exponent: i16::try_from(exponent).map_err(|_| NumberError::Overflow)?,
        })
    }

    pub(crate) fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(super) fn is_negative(self) -> bool {
        self.digits.is_negative()
    }

    /// How many significant digits it has; zero has none.
    fn length(self) -> u32 {
        self.digits
            .unsigned_abs()
            .checked_ilog10()
            .map_or(0, |log| log + 1)
    }

    /// The exponent of its first digit.
    pub(super) fn magnitude(self) -> i16 {
        self.exponent + i16::try_from(self.length()).unwrap_or(0) - 1
    }

    /// Its digits as a number of 38 digits: zeros behind, no sign.
    pub(super) fn aligned(self) -> u128 {
        self.digits.unsigned_abs() * 10_u128.pow(MAX_DIGITS - self.length())
    }

    /// Bytes of an item: one, one for two digits before the point and for two behind it, one for a minus.
    pub(crate) fn size(self) -> usize {
        if self.digits == 0 {
            return 1;
        }
        let length = i64::from(self.length());
        let whole = (i64::from(self.magnitude()) + 1).clamp(0, length);
        let pairs = (whole + 1) / 2 + (length - whole + 1) / 2;
        usize::try_from(pairs).unwrap_or(0) + 1 + usize::from(self.is_negative())
    }
}

fn check_magnitude(magnitude: i64) -> Result<(), NumberError> {
    match magnitude {
        ..LEAST_MAGNITUDE => Err(NumberError::Underflow),
        LEAST_MAGNITUDE..=GREATEST_MAGNITUDE => Ok(()),
        _ => Err(NumberError::Overflow),
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::new(false, u128::from(number), 0).unwrap_or(Self::ZERO)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.digits.signum().cmp(&other.digits.signum());
        if by_sign.is_ne() || self.digits == 0 {
            return by_sign;
        }
        let by_size = self
            .magnitude()
            .cmp(&other.magnitude())
            .then_with(|| self.aligned().cmp(&other.aligned()));
        match self.digits.is_negative() {
            true => by_size.reverse(),
            false => by_size,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As DynamoDB answers it: no exponent, no zeros that mean nothing.
impl Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_negative() {
            formatter.write_str("-")?;
        }
        let digits = self.digits.unsigned_abs().to_string();
        let whole = i64::from(self.exponent) + i64::try_from(digits.len()).unwrap_or(0);
        match usize::try_from(whole) {
            Ok(whole) if whole >= digits.len() => write!(formatter, "{digits:0<whole$}"),
            Ok(whole) if whole > 0 => {
                write!(formatter, "{}.{}", &digits[..whole], &digits[whole..])
            }
            _ => {
                let width = digits.len() + usize::try_from(-whole).unwrap_or(0);
                write!(formatter, "0.{digits:0>width$}")
            }
        }
    }
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
