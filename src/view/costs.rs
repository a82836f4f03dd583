//! What models cost on a day, as it is shown: the same to the API, to `/metrics` and to the command line.

use crate::domain::{CostLimits, Spend};
use crate::store::{CostRow, Store, StoreError};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize)]
pub struct CostsView {
    /// In UTC.
    pub day: String,
    pub limits: Option<CostLimits>,
    pub all: CostView,
    /// By service, or host; the dearest first.
    pub places: Vec<PlaceView>,
    /// All days together, in dollars.
    pub dollars_ever: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct PlaceView {
    pub place: String,
    #[serde(flatten)]
    pub cost: CostView,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CostView {
    pub calls: u64,
    /// Among them questions whose answer was not seen, counted as estimated.
    pub estimated: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub dollars: f64,
    /// Until the limit; none where there is none.
    pub tokens_left: Option<u64>,
    pub dollars_left: Option<f64>,
}

impl CostView {
    fn of<'a>(rows: impl Iterator<Item = &'a CostRow>, tokens: Option<u64>, dollars: Option<f64>) -> Self {
        let (mut calls, mut estimated, mut spend) = (0, 0, Spend::default());
        for row in rows {
            (calls, estimated, spend) = (calls + row.calls, estimated + row.estimated, spend + row.spend);
        }
        Self {
            calls,
            estimated,
            tokens_in: spend.tokens_in,
            tokens_out: spend.tokens_out,
            dollars: spend.dollars(),
            tokens_left: tokens.map(|limit| limit.saturating_sub(spend.tokens())),
            dollars_left: dollars.map(|limit| (limit - spend.dollars()).max(0.0)),
        }
    }
}

pub async fn costs(store: &Store, day: String, limits: Option<CostLimits>) -> Result<CostsView, StoreError> {
    let rows = store.costs(&day).await?;
    let mut by_place: BTreeMap<&str, Vec<&CostRow>> = BTreeMap::new();
    for row in &rows {
        by_place.entry(&row.place).or_default().push(row);
    }
    let (tokens, dollars) = limits.map_or((None, None), |limits| (limits.service_tokens_a_day, limits.service_dollars_a_day));
    let place =
        |(place, rows): (&str, Vec<&CostRow>)| PlaceView { place: place.to_owned(), cost: CostView::of(rows.into_iter(), tokens, dollars) };
    let mut places: Vec<PlaceView> = by_place.into_iter().map(place).collect();
    let weight = |view: &PlaceView| (view.cost.dollars, view.cost.tokens_in + view.cost.tokens_out);
    places.sort_by(|a, b| weight(b).partial_cmp(&weight(a)).unwrap_or(std::cmp::Ordering::Equal));
    let (tokens, dollars) = limits.map_or((None, None), |limits| (limits.tokens_a_day, limits.dollars_a_day));
    let all = CostView::of(rows.iter(), tokens, dollars);
    Ok(CostsView { day, limits, all, places, dollars_ever: store.costs_in_all().await?.dollars() })
}
