//! Which moment is "so many nanoseconds since midnight, New York"?
//!
//! A feed counts from midnight and never says of which day, so the trading day is configured. The
//! count is read as **a clock on the wall**: 34,200,000,000,000 is 9:30:00 in New York on every day
//! of the year, also on the two days when the clock is moved. On those two days (Sundays, without
//! trading) a count that the wall shows twice means the first time, and a count that it never shows
//! means the time that a clock nobody moved would show.
//!
//! The offsets from UTC are looked up once per day, in the time zone database compiled into the
//! program: two adapters never differ because of what is installed on their hosts.

use core::fmt;
use core::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A day of trading in New York, with what is needed to turn its clock into Unix time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TradingDay {
    date: Date,
    /// Midnight as if New York were at UTC, Unix ns.
    midnight: i64,
    /// What New York adds to UTC at midnight, ns (negative).
    offset: i64,
    /// What it adds from `moved_at` on.
    offset_later: i64,
    /// First count since midnight that is read with `offset_later`, ns.
    moved_at: u64,
}

/// The zone of all Nasdaq timestamps.
const ZONE: &str = "America/New_York";
const NANOSECONDS: i64 = 1_000_000_000;
const HOURS_48: i64 = 48 * 3_600 * NANOSECONDS;

impl TradingDay {
    /// The day that New York's calendar calls year, month, day.
    ///
    /// # Errors
    ///
    /// When there is no such day, or Unix time in unsigned nanoseconds does not reach it.
    pub fn new(year: i16, month: i8, day: i8) -> Result<Self, DayError> {
        let date = Date::new(year, month, day).map_err(|_| DayError::NoSuchDay)?;
        Self::of(date)
    }

    fn of(date: Date) -> Result<Self, DayError> {
        if !(1970..2200).contains(&date.year()) {
            return Err(DayError::OutOfRange);
        }
        let zone = TimeZone::get(ZONE).map_err(|_| DayError::NoZone)?;
        let start = date
            .to_zoned(zone.clone())
            .map_err(|_| DayError::OutOfRange)?
            .timestamp();
        let midnight = nanoseconds(
            date.to_zoned(TimeZone::UTC)
                .map_err(|_| DayError::OutOfRange)?
                .timestamp(),
        );
        let offset_at = |moment| i64::from(zone.to_offset(moment).seconds()) * NANOSECONDS;
        let offset = offset_at(start);
        let next = zone
            .following(start)
            .next()
            .map(|transition| transition.timestamp());
        let (offset_later, moved_at) = match next {
            Some(moment) if nanoseconds(moment) - nanoseconds(start) < HOURS_48 => {
                let later = offset_at(moment);
                let wall = nanoseconds(moment) + offset.max(later) - midnight;
                (
                    later,
                    u64::try_from(wall).map_err(|_| DayError::OutOfRange)?,
                )
            }
            _ => (offset, u64::MAX),
        };
        Ok(Self {
            date,
            midnight,
            offset,
            offset_later,
            moved_at,
        })
    }

    /// The moment at which New York's clock shows this many nanoseconds since midnight, Unix ns.
    ///
    /// Counts beyond the day go on into the next one.
    #[must_use]
    pub fn unix(&self, since_midnight: u64) -> u64 {
        let offset = if since_midnight < self.moved_at {
            self.offset
        } else {
            self.offset_later
        };
        let base = self.midnight - offset;
        u64::try_from(base)
            .unwrap_or(0)
            .saturating_add(since_midnight)
    }

    /// The day as eight digits, `20191230`: its form in epoch keys.
    #[must_use]
    pub fn digits(&self) -> [u8; 8] {
        let [a, b, c, d, _, e, f, _, g, h] = self.letters();
        [a, b, c, d, e, f, g, h]
    }

    /// The day as `2019-12-30`, for keys and names.
    #[must_use]
    pub fn letters(&self) -> [u8; 10] {
        let digit = |number: i16, unit: i16| b'0' + (number / unit % 10) as u8;
        let (year, month, day) = (
            self.date.year(),
            i16::from(self.date.month()),
            i16::from(self.date.day()),
        );
        [
            digit(year, 1_000),
            digit(year, 100),
            digit(year, 10),
            digit(year, 1),
            b'-',
            digit(month, 10),
            digit(month, 1),
            b'-',
            digit(day, 10),
            digit(day, 1),
        ]
    }

    /// When the day begins, Unix ns.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.unix(0)
    }

    /// When the next day begins, Unix ns.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.unix(24 * 3_600 * NANOSECONDS as u64)
    }
}

fn nanoseconds(moment: jiff::Timestamp) -> i64 {
    // Years 1970 to 2200 fit 63 bits of nanoseconds; `of` has checked them.
    moment.as_nanosecond() as i64
}

impl fmt::Display for TradingDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)
    }
}

impl FromStr for TradingDay {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        Self::of(text.parse().map_err(|_| DayError::NoSuchDay)?)
    }
}

/// Why there is no such trading day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DayError {
    /// Not a day of the calendar, or not written like one.
    NoSuchDay,
    /// Before 1970 or after 2199.
    OutOfRange,
    /// The program was built without its time zones.
    NoZone,
}

impl fmt::Display for DayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchDay => "not a day of the calendar: write it as 2019-12-30",
            Self::OutOfRange => "trading days lie between 1970-01-01 and 2199-12-31",
            Self::NoZone => "this build lacks America/New_York: build it with its time zones",
        })
    }
}

impl core::error::Error for DayError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600 * NANOSECONDS as u64;

    /// Unix seconds taken from the calendar by hand, not from the library under test.
    #[test]
    fn half_past_nine_is_half_past_nine_all_year() {
        for (day, unix) in [
            // Winter: UTC-5. 2019-12-30 00:00 UTC is 1,577,664,000.
            ("2019-12-30", 1_577_664_000 + 14 * 3_600 + 1_800),
            // Summer: UTC-4. 2023-08-22 00:00 UTC is 1,692,662,400.
            ("2023-08-22", 1_692_662_400 + 13 * 3_600 + 1_800),
            // The Friday before and the Monday after both moves of 2024.
            ("2024-03-08", 1_709_856_000 + 14 * 3_600 + 1_800),
            ("2024-03-11", 1_710_115_200 + 13 * 3_600 + 1_800),
            ("2024-11-01", 1_730_419_200 + 13 * 3_600 + 1_800),
            ("2024-11-04", 1_730_678_400 + 14 * 3_600 + 1_800),
            // On the days of the moves themselves the wall shows 9:30 after the move.
            ("2024-03-10", 1_710_028_800 + 13 * 3_600 + 1_800),
            ("2024-11-03", 1_730_592_000 + 14 * 3_600 + 1_800),
        ] {
            let day: TradingDay = day.parse().unwrap();
            assert_eq!(
                day.unix(9 * HOUR + HOUR / 2),
                unix * NANOSECONDS as u64,
                "{day}"
            );
        }
    }

    #[test]
    fn the_hour_that_is_skipped_and_the_hour_that_comes_twice() {
        let spring: TradingDay = "2024-03-10".parse().unwrap();
        let midnight = 1_710_028_800 * NANOSECONDS as u64 + 5 * HOUR;
        assert_eq!(spring.start(), midnight);
        assert_eq!(spring.unix(2 * HOUR - 1), midnight + 2 * HOUR - 1);
        // 2:30 is never shown: an unmoved clock shows it half an hour after the move.
        assert_eq!(
            spring.unix(2 * HOUR + HOUR / 2),
            midnight + 2 * HOUR + HOUR / 2
        );
        assert_eq!(spring.unix(3 * HOUR), midnight + 2 * HOUR);
        assert_eq!(spring.end() - spring.start(), 23 * HOUR);

        let autumn: TradingDay = "2024-11-03".parse().unwrap();
        let midnight = 1_730_592_000 * NANOSECONDS as u64 + 4 * HOUR;
        assert_eq!(autumn.start(), midnight);
        // 1:30 is shown twice: the first time is meant.
        assert_eq!(autumn.unix(HOUR + HOUR / 2), midnight + HOUR + HOUR / 2);
        assert_eq!(autumn.unix(2 * HOUR), midnight + 3 * HOUR);
        assert_eq!(autumn.end() - autumn.start(), 25 * HOUR);
    }

    #[test]
    fn the_move_on_sunday_does_not_touch_saturday() {
        let day: TradingDay = "2024-03-09".parse().unwrap();
        assert_eq!(day.end() - day.start(), 24 * HOUR);
        assert_eq!(day.unix(20 * HOUR), day.start() + 20 * HOUR);
    }

    #[test]
    fn absurd_counts_and_days_are_survived() {
        let day: TradingDay = "2019-12-30".parse().unwrap();
        assert_eq!(day.unix((1 << 48) - 1), day.start() + (1 << 48) - 1);
        assert_eq!(
            &TradingDay::new(2024, 3, 9).unwrap().letters(),
            b"2024-03-09"
        );
        assert_eq!(&TradingDay::new(2024, 3, 9).unwrap().digits(), b"20240309");
        assert_eq!(day.to_string().as_bytes(), day.letters());
        assert_eq!(TradingDay::new(2023, 2, 29), Err(DayError::NoSuchDay));
        assert_eq!(TradingDay::new(1969, 12, 31), Err(DayError::OutOfRange));
        assert_eq!("30.12.2019".parse::<TradingDay>(), Err(DayError::NoSuchDay));
    }
}
