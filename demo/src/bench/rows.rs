//! The rows that the bench prints: a figure, its ratio to a floor, its goal, and whether the goal was met.
//!
//! No row fails the bench. A goal that is stated as a ratio is judged by the ratio, because disks and machines differ. One
//! that is stated as a time, a rate or a size is judged by that, and says something only about the machine at hand.

use super::ratio;
use serde_json::{Value, json};
use std::fmt;

/// A goal of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

/// The quantity that a row is divided by, in the unit of the row.
#[derive(Clone, Debug, PartialEq)]
struct Base {
    name: &'static str,
    value: f64,
}

/// A figure with its floor and its goal.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name in the JSON, which stays.
    id: &'static str,
    /// Description for people.
    name: &'static str,
    value: f64,
    unit: &'static str,
    base: Option<Base>,
    goal: Option<Goal>,
}

impl Row {
    /// Creates a row without a floor and a goal.
    pub fn new(id: &'static str, name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { id, name, value, unit, base: None, goal: None }
    }

    /// Sets the floor, or another comparison of the same run.
    #[must_use]
    pub fn over(self, name: &'static str, value: f64) -> Self {
        Self { base: Some(Base { name, value }), ..self }
    }

    /// Sets the largest figure that meets the goal.
    #[must_use]
    pub fn at_most(self, value: f64) -> Self {
        Self { goal: Some(Goal::AtMost(value)), ..self }
    }

    /// Sets the smallest figure that meets the goal.
    #[must_use]
    pub fn at_least(self, value: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(value)), ..self }
    }

    /// Sets the largest ratio to the floor that meets the goal.
    #[must_use]
    pub fn ratio_at_most(self, ratio: f64) -> Self {
        Self { goal: Some(Goal::RatioAtMost(ratio)), ..self }
    }

    /// Sets the smallest ratio to the floor that meets the goal.
    #[must_use]
    pub fn ratio_at_least(self, ratio: f64) -> Self {
        Self { goal: Some(Goal::RatioAtLeast(ratio)), ..self }
    }

    /// Returns the name in the JSON.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the figure.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the unit of the figure.
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// Returns the ratio to the floor.
    pub fn ratio(&self) -> Option<f64> {
        self.base.as_ref().map(|base| ratio(self.value, base.value))
    }

    /// Returns whether the goal was met, or `None` without a goal.
    fn is_met(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::AtMost(limit) => self.value <= limit,
            Goal::AtLeast(limit) => self.value >= limit,
            Goal::RatioAtMost(limit) => self.ratio()? <= limit,
            Goal::RatioAtLeast(limit) => self.ratio()? >= limit,
        })
    }

    fn goal_text(&self) -> String {
        match self.goal {
            None => "-".to_owned(),
            Some(Goal::AtMost(limit)) => format!("<= {} {}", number(limit), self.unit),
            Some(Goal::AtLeast(limit)) => format!(">= {} {}", number(limit), self.unit),
            Some(Goal::RatioAtMost(limit)) => format!("<= {limit} x"),
            Some(Goal::RatioAtLeast(limit)) => format!(">= {limit} x"),
        }
    }

    /// Returns the row as an object. What it lacks is null.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "row": self.name,
            "measured": self.value,
            "unit": self.unit,
            "floor": self.base.as_ref().map(|base| base.name),
            "floor_measured": self.base.as_ref().map(|base| base.value),
            "ratio": self.ratio(),
            "goal": self.goal.map(|_| self.goal_text()),
            "met": self.is_met(),
        })
    }
}

/// A table of rows for people.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<58}{:>18}{:>10}  {:<18}{:<5}of", "row", "measured", "ratio", "goal", "met")?;
        for row in self.0 {
            let measured = format!("{} {}", number(row.value), row.unit);
            let ratio = row.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2} x"));
            let met = row.is_met().map_or("-", |met| if met { "yes" } else { "no" });
            let base = row.base.as_ref().map_or("-", |base| base.name);
            writeln!(f, "{:<58}{measured:>18}{ratio:>10}  {:<18}{met:<5}{base}", row.name, row.goal_text())?;
        }
        Ok(())
    }
}

/// Formats a figure with four digits that count, and thousands apart.
pub fn number(value: f64) -> String {
    if value.abs() < 1_000.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a goal that is judged in the wrong direction, or by the figure instead of the ratio.
    #[test]
    fn a_goal_is_judged_by_what_it_states() {
        let row = || Row::new("lag", "lag", 3.0, "ms").over("floor", 2.0);
        assert_eq!(row().is_met(), None);
        assert_eq!([row().at_most(3.0), row().at_most(2.9)].map(|row| row.is_met()), [Some(true), Some(false)]);
        assert_eq!([row().at_least(3.0), row().at_least(3.1)].map(|row| row.is_met()), [Some(true), Some(false)]);
        let ratios = [row().ratio_at_most(1.5), row().ratio_at_most(1.4), row().ratio_at_least(1.6)];
        assert_eq!(ratios.map(|row| row.is_met()), [Some(true), Some(false), Some(false)]);
        assert_eq!(Row::new("lag", "lag", 3.0, "ms").ratio_at_most(9.0).is_met(), None);
    }

    #[test]
    fn numbers_are_short_and_their_thousands_are_apart() {
        assert_eq!([0.5, 1.0, 12.3456, 999.0].map(number), ["0.5", "1", "12.346", "999"]);
        assert_eq!([1_000.0, 93_456.7, 1_234_567.0].map(number), ["1,000", "93,457", "1,234,567"]);
    }
}
