//! Working hours: what the clock says in the operator's own zone. Without them every hour counts as off-hours, in UTC.

use crate::domain::{Moment, Time};
use chrono::{Datelike as _, NaiveTime, Timelike as _, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// `hours` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    #[serde(deserialize_with = "zone", serialize_with = "zone_name")]
    pub zone: Tz,
    #[serde(default = "monday_to_friday", deserialize_with = "days")]
    pub days: Vec<Weekday>,
    #[serde(deserialize_with = "clock_time")]
    pub from: NaiveTime,
    /// The first minute that is off-hours again; before `from` it is the next morning's.
    #[serde(deserialize_with = "clock_time")]
    pub to: NaiveTime,
}

impl Hours {
    fn working(&self, day: Weekday, at: NaiveTime) -> bool {
        let day_of_shift = if self.from < self.to || at >= self.from { day } else { day.pred() };
        let within = if self.from < self.to { (self.from..self.to).contains(&at) } else { at >= self.from || at < self.to };
        within && self.days.contains(&day_of_shift)
    }
}

/// What the clock says at `now`.
pub fn moment(hours: Option<&Hours>, now: Time) -> Moment {
    let (hour, day, off_hours) = match hours {
        None => (now.hour(), now.weekday(), true),
        Some(hours) => {
            let local = now.with_timezone(&hours.zone);
            (local.hour(), local.weekday(), !hours.working(local.weekday(), local.time()))
        }
    };
    Moment { hour, weekday: day.number_from_monday(), off_hours }
}

fn monday_to_friday() -> Vec<Weekday> {
    vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri]
}

pub(super) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a time zone: expected a name such as Europe/Berlin or UTC")))
}

fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

pub(super) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Weekday>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let day = |text: &String| text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a day: expected mon, tue, wed, …")));
    texts.iter().map(day).collect()
}

fn clock_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    NaiveTime::parse_from_str(&text, "%H:%M")
        .map_err(|_| D::Error::custom(format!("`{text}` is not a time: expected HH:MM, such as 09:00")))
}
