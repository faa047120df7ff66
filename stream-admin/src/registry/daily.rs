//! At which moment does a day's appointed time come?
//!
//! ```text
//!  the wall's clock   … 16:59  17:00  17:01 …          a time that the wall never shows that day: the first it shows behind
//!                               │                      it; one that it shows twice: the first of both
//!  Unix time          ──────────●────────────►
//! ```
//!
//! The zone's rules are those compiled into the program, whatever is installed on the host. No clock is read here: what the
//! wall shows is an argument.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A time of every day, as the wall's clock shows it in one zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daily {
    time: Time,
    zone: TimeZone,
}

impl Daily {
    /// The last of these moments that has come at `unix_us`, both in microseconds since the Unix epoch; `None` beyond the
    /// calendar's ends.
    #[must_use]
    pub fn latest(&self, unix_us: u64) -> Option<u64> {
        let now = Timestamp::from_microsecond(i64::try_from(unix_us).ok()?).ok()?;
        let today = self.zone.to_datetime(now).date();
        // A clock that is moved about midnight may show yesterday's time today.
        let days = [Some(today), today.yesterday().ok()];
        let moments = days.into_iter().flatten();
        let latest = moments
            .filter_map(|day| self.moment(day))
            .filter(|moment| *moment <= now)
            .max()?;
        u64::try_from(latest.as_microsecond()).ok()
    }

    fn moment(&self, day: Date) -> Option<Timestamp> {
        let wall = day.to_datetime(self.time);
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                // What is subtracted behind the gap leads in front of it.
                let earlier = after.to_timestamp(wall).ok()?;
                let moved = self.zone.following(earlier).next()?;
                Some(moved.timestamp())
            }
        }
    }
}

impl FromStr for Daily {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("{what}: write it as \"17:30 America/New_York\", or \"commanded\"")
        };
        let (time, zone) = text
            .split_once(' ')
            .ok_or_else(|| wrong(&format!("{text:?} is no time of the day with its zone")))?;
        let time = Time::strptime("%H:%M", time)
            .map_err(|_| wrong(&format!("{time:?} is no time of the day")))?;
        let zone = TimeZone::get(zone.trim())
            .map_err(|_| wrong(&format!("{zone:?} is no time zone that this build knows")))?;
        Ok(Self { time, zone })
    }
}

impl fmt::Display for Daily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = (self.time.hour(), self.time.minute());
        let zone = self.zone.iana_name().unwrap_or_default();
        write!(f, "{hour:02}:{minute:02} {zone}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix_us(text: &str) -> u64 {
        let moment: Timestamp = text.parse().unwrap();
        u64::try_from(moment.as_microsecond()).unwrap()
    }

    #[test]
    fn the_last_moment_is_the_one_of_today_or_of_yesterday() {
        for (daily, now, expected) in [
            // Summer and winter, a moment before and at it.
            (
                "17:30 America/New_York",
                "2026-07-01T21:29:59.999999Z",
                "2026-06-30T21:30:00Z",
            ),
            (
                "17:30 America/New_York",
                "2026-07-01T21:30:00Z",
                "2026-07-01T21:30:00Z",
            ),
            (
                "17:30 America/New_York",
                "2026-12-01T22:29:59.999999Z",
                "2026-11-30T22:30:00Z",
            ),
            (
                "17:30 America/New_York",
                "2026-12-01T22:30:00Z",
                "2026-12-01T22:30:00Z",
            ),
            // East of Greenwich the day begins before.
            (
                "07:05 Asia/Tokyo",
                "2026-07-01T22:05:00Z",
                "2026-07-01T22:05:00Z",
            ),
            (
                "00:00 Asia/Tokyo",
                "2026-07-01T14:59:59Z",
                "2026-06-30T15:00:00Z",
            ),
            // 8 March 2026: 02:00 to 03:00 does not exist in New York.
            (
                "01:59 America/New_York",
                "2026-03-08T06:59:00Z",
                "2026-03-08T06:59:00Z",
            ),
            (
                "02:00 America/New_York",
                "2026-03-08T06:59:59Z",
                "2026-03-07T07:00:00Z",
            ),
            (
                "02:00 America/New_York",
                "2026-03-08T07:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "02:30 America/New_York",
                "2026-03-08T06:59:59Z",
                "2026-03-07T07:30:00Z",
            ),
            (
                "02:30 America/New_York",
                "2026-03-08T07:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "02:30 America/New_York",
                "2026-03-08T23:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "03:00 America/New_York",
                "2026-03-08T07:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            // 1 November 2026: 01:00 to 02:00 comes twice; the first counts.
            (
                "01:30 America/New_York",
                "2026-11-01T05:29:59Z",
                "2026-10-31T05:30:00Z",
            ),
            (
                "01:30 America/New_York",
                "2026-11-01T05:30:00Z",
                "2026-11-01T05:30:00Z",
            ),
            (
                "01:30 America/New_York",
                "2026-11-01T06:30:00Z",
                "2026-11-01T05:30:00Z",
            ),
            // The first minute of 8 September 2024 does not exist in Santiago: midnight is one o'clock.
            (
                "00:00 America/Santiago",
                "2024-09-08T03:59:59Z",
                "2024-09-07T04:00:00Z",
            ),
            (
                "00:00 America/Santiago",
                "2024-09-08T04:00:00Z",
                "2024-09-08T04:00:00Z",
            ),
            ("12:00 UTC", "1970-01-02T11:00:00Z", "1970-01-01T12:00:00Z"),
        ] {
            let told: Daily = daily.parse().unwrap();
            assert_eq!(
                told.latest(unix_us(now)),
                Some(unix_us(expected)),
                "{daily} at {now}"
            );
        }
    }

    #[test]
    fn before_the_first_moment_there_is_none() {
        let daily: Daily = "12:00 UTC".parse().unwrap();
        assert_eq!(daily.latest(0), None, "of a day before 1970");
        assert_eq!(daily.latest(u64::MAX), None);
    }

    #[test]
    fn a_time_is_read_with_its_zone_and_written_as_it_was_read() {
        for text in ["17:30 America/New_York", "00:00 UTC", "09:05 Europe/Zurich"] {
            assert_eq!(text.parse::<Daily>().unwrap().to_string(), text);
        }
        for (wrong, names) in [
            ("", "\"\""),
            ("17:30", "\"17:30\""),
            ("24:00 UTC", "\"24:00\""),
            ("17:60 UTC", "\"17:60\""),
            ("5pm UTC", "\"5pm\""),
            ("17:30 America/Nowhere", "\"America/Nowhere\""),
            ("17:30 ", "\"\""),
        ] {
            let error = wrong.parse::<Daily>().unwrap_err();
            assert!(error.contains(names), "{wrong:?}: {error}");
            assert!(error.contains("17:30 America/New_York"), "{error}");
        }
    }
}
