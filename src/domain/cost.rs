//! What questions to a model cost, and how much of it a day may have. Money is counted in billionths of a dollar: a price a million tokens
//! has no smaller part.

use super::problem::Problem;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Add;

/// Of one kind of token, and of a day's limit: no honest figure is larger.
const MOST_DOLLARS: f64 = 1_000_000.0;
const NANOS: f64 = 1_000_000_000.0;

/// What one model takes for a million tokens, in dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: f64,
    pub output: f64,
}

impl Price {
    pub fn of(&self, tokens_in: u64, tokens_out: u64) -> Spend {
        let nanos = |price: f64, tokens: u64| ((price * 1_000.0).round() as u64).saturating_mul(tokens);
        Spend { tokens_in, tokens_out, nanos: nanos(self.input, tokens_in).saturating_add(nanos(self.output, tokens_out)) }
    }

    pub fn problem(&self) -> Option<String> {
        let fits = [self.input, self.output].iter().all(|price| (0.0..=MOST_DOLLARS).contains(price));
        (!fits).then(|| "expected dollars a million tokens, 0 or more".to_owned())
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spend {
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// Billionths of a dollar.
    pub nanos: u64,
}

impl Spend {
    pub fn tokens(&self) -> u64 {
        self.tokens_in.saturating_add(self.tokens_out)
    }

    pub fn dollars(&self) -> f64 {
        self.nanos as f64 / NANOS
    }
}

impl Add for Spend {
    type Output = Self;
    fn add(self, more: Self) -> Self {
        Self {
            tokens_in: self.tokens_in.saturating_add(more.tokens_in),
            tokens_out: self.tokens_out.saturating_add(more.tokens_out),
            nanos: self.nanos.saturating_add(more.nanos),
        }
    }
}

/// What a day (UTC) may cost, of all together and of each service; `llm.limits` of the configuration. None: as much as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostLimits {
    pub tokens_a_day: Option<u64>,
    pub dollars_a_day: Option<f64>,
    pub service_tokens_a_day: Option<u64>,
    pub service_dollars_a_day: Option<f64>,
}

impl Default for CostLimits {
    fn default() -> Self {
        Self { tokens_a_day: Some(5_000_000), dollars_a_day: None, service_tokens_a_day: Some(1_000_000), service_dollars_a_day: None }
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    /// A service; a host where no service is known.
    Place(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Place(place) => write!(f, "place:{place}"),
        }
    }
}

/// A limit that one more question would go beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSpent {
    pub day: String,
    pub scope: Scope,
    /// `4,991 of 5,000 tokens`, with what the next question takes.
    pub words: String,
}

impl fmt::Display for LimitSpent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match &self.scope {
            Scope::All => "of everything together".to_owned(),
            Scope::Place(place) => format!("of {place}"),
        };
        write!(f, "the model's limit {of} for {} (UTC) is spent: {}", self.day, self.words)
    }
}

impl CostLimits {
    /// `priced`: the model that is asked has a price.
    pub fn problems(&self, model: &str, priced: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, tokens) in [("tokens_a_day", self.tokens_a_day), ("service_tokens_a_day", self.service_tokens_a_day)] {
            if tokens.is_some_and(|tokens| !(1..=i64::MAX as u64).contains(&tokens)) {
                let message = "expected a number of tokens, 1 or more; null for no limit; to do without a model leave out llm";
                problems.push(Problem::new(format!("llm.limits.{name}"), message));
            }
        }
        for (name, dollars) in [("dollars_a_day", self.dollars_a_day), ("service_dollars_a_day", self.service_dollars_a_day)] {
            let Some(dollars) = dollars else { continue };
            if !(dollars > 0.0 && dollars <= MOST_DOLLARS) {
                problems.push(Problem::new(format!("llm.limits.{name}"), "expected an amount of dollars, more than 0; null for no limit"));
            } else if !priced {
                let message = format!("expected a price of `{model}` under llm.prices: without it nothing is counted");
                problems.push(Problem::new(format!("llm.limits.{name}"), message));
            }
        }
        problems
    }

    /// Would `next` go beyond a limit? `all` and `place` are what the day has cost until now.
    pub fn spent(&self, day: &str, all: Spend, place: (&str, Spend), next: Spend) -> Option<LimitSpent> {
        let of_all = over(self.tokens_a_day, self.dollars_a_day, all, next).map(|words| (Scope::All, words));
        let (name, spend) = place;
        let of_place = || over(self.service_tokens_a_day, self.service_dollars_a_day, spend, next);
        let (scope, words) = of_all.or_else(|| Some((Scope::Place(name.to_owned()), of_place()?)))?;
        Some(LimitSpent { day: day.to_owned(), scope, words })
    }
}

fn over(tokens: Option<u64>, dollars: Option<f64>, spent: Spend, next: Spend) -> Option<String> {
    let then = spent + next;
    if let Some(limit) = tokens.filter(|limit| then.tokens() > *limit) {
        return Some(format!("{} of {limit} tokens, and the next question takes about {}", spent.tokens(), next.tokens()));
    }
    let limit = dollars.filter(|limit| then.nanos > (limit * NANOS).round() as u64)?;
    Some(format!("${:.4} of ${limit}, and the next question takes about ${:.4}", spent.dollars(), next.dollars()))
}

/// The day of costs, in UTC: `2026-11-21`.
pub fn day_of(now: Time) -> String {
    now.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> CostLimits {
        CostLimits { tokens_a_day: Some(1_000), dollars_a_day: Some(0.01), service_tokens_a_day: Some(500), service_dollars_a_day: None }
    }

    #[test]
    fn a_price_is_exact_to_a_billionth() {
        let price = Price { input: 0.075, output: 2.5 };
        assert_eq!(price.of(1_000_000, 0).dollars(), 0.075);
        assert_eq!(price.of(1, 1).nanos, 75 + 2_500);
        assert_eq!(Price::default().of(7, 9), Spend { tokens_in: 7, tokens_out: 9, nanos: 0 });
    }

    #[test]
    fn the_question_that_would_go_beyond_a_limit_is_not_asked() {
        let spend = |tokens, nanos| Spend { tokens_in: tokens, tokens_out: 0, nanos };
        let said = |all, place, next| limits().spent("2026-11-21", all, ("api", place), next).map(|spent| spent.to_string());
        assert_eq!(said(spend(400, 0), spend(400, 0), spend(100, 0)), None, "to the last token");
        assert_eq!(
            said(spend(400, 0), spend(400, 0), spend(101, 0)).unwrap(),
            "the model's limit of api for 2026-11-21 (UTC) is spent: 400 of 500 tokens, and the next question takes about 101"
        );
        assert_eq!(
            said(spend(901, 0), spend(0, 0), spend(100, 0)).unwrap(),
            "the model's limit of everything together for 2026-11-21 (UTC) is spent: 901 of 1000 tokens, and the next question takes about 100"
        );
        assert_eq!(said(spend(0, 9_999_990), spend(0, 0), spend(1, 10)), None);
        assert!(said(spend(0, 9_999_990), spend(0, 0), spend(1, 11)).unwrap().contains("$0.0100 of $0.01"));
    }

    #[test]
    fn limits_that_limit_nothing_are_told() {
        let told = |limits: CostLimits, priced| {
            limits.problems("m", priced).into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(limits(), true), "");
        assert_eq!(
            told(limits(), false),
            "llm.limits.dollars_a_day: expected a price of `m` under llm.prices: without it nothing is counted"
        );
        assert!(told(CostLimits { tokens_a_day: Some(0), ..limits() }, true).starts_with("llm.limits.tokens_a_day: expected a number"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let told = told(CostLimits { service_dollars_a_day: Some(bad), ..limits() }, true);
            assert!(told.starts_with("llm.limits.service_dollars_a_day: expected an amount"), "{bad}: {told}");
        }
        assert!(Price { input: -0.1, output: 0.0 }.problem().is_some());
    }
}
