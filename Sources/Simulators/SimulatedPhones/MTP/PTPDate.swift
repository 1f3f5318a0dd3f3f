/// PTP's text form of a moment, "20240131T235959", in the phone's own zone.
package enum PTPDate {
    /// Text for seconds since 1970, shifted by the zone's seconds east of Greenwich.
    package static func text(unixSeconds: Int64, zone: Int64) -> String {
        let local = unixSeconds &+ zone
        let days = Int64((Double(local) / 86_400).rounded(.down))
        let second = local - days * 86_400
        let (year, month, day) = civil(fromDays: days)
        return pad(year, 4) + pad(month, 2) + pad(day, 2) + "T" + pad(second / 3600, 2)
            + pad(second / 60 % 60, 2) + pad(second % 60, 2)
    }

    /// Seconds since 1970 of such a text; a trailing Z means UTC. Nil when malformed.
    package static func unixSeconds(of units: [UInt16], zone: Int64) -> Int64? {
        let text = Array(String(decoding: units, as: UTF16.self).utf8)
        guard text.count >= 15, text[8] == UInt8(ascii: "T") else { return nil }
        func number(_ from: Int, _ count: Int) -> Int64? {
            Int64(String(decoding: text[from..<(from + count)], as: UTF8.self))
        }
        guard let year = number(0, 4), let month = number(4, 2), let day = number(6, 2),
            let hour = number(9, 2), let minute = number(11, 2), let second = number(13, 2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let isUTC = text.last == UInt8(ascii: "Z")
        return days * 86_400 + hour * 3600 + minute * 60 + second - (isUTC ? 0 : zone)
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Year, month and day of a day number (proleptic Gregorian; March-based years make the
    /// leap day the last one).
    private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// Day number of a date, 0 for 1970-01-01.
    package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
