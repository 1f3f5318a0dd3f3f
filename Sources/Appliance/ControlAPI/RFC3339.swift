package import BackupCore

/// Times as text for people and programs, after RFC 3339.
package enum RFC3339 {
    /// `time` as `2026-11-21T03:41:58.5+01:00`: trailing zeros of the fraction cut, `Z` for an
    /// offset of 0. Years outside 0...9999 are cut to those bounds, which RFC 3339 ends at.
    package static func text(_ time: Timestamp, utcOffsetSeconds: Int = 0) -> String {
        let bounded = min(max(time.seconds, -62_167_219_200), 253_402_300_799 - 86_400)
        let offset = utcOffsetSeconds / 60 * 60
        let local = bounded + Int64(offset)
        let (day, second) = local.quotientAndRemainderFloored(dividingBy: 86_400)
        let date = civilDate(daysSince1970: day)
        var text = "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T"
        text += "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2))"
        text += ":\(padded(second % 60, 2))"
        if time.nanoseconds > 0 {
            var digits = padded(Int64(time.nanoseconds), 9)
            while digits.hasSuffix("0") { digits.removeLast() }
            text += "." + digits
        }
        guard offset != 0 else { return text + "Z" }
        let minutes = Int64(abs(offset) / 60)
        return text + (offset < 0 ? "-" : "+") + padded(minutes / 60, 2) + ":"
            + padded(minutes % 60, 2)
    }

    /// The moment that `text` names, or nil when it is not of the form ``text(_:utcOffsetSeconds:)``
    /// gives. Source: RFC 3339, section 5.6.
    package static func time(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20,
            let year = digits(bytes, 0..<4), bytes[4] == UInt8(ascii: "-"),
            let month = digits(bytes, 5..<7), bytes[7] == UInt8(ascii: "-"),
            let day = digits(bytes, 8..<10), bytes[10] == UInt8(ascii: "T"),
            let hour = digits(bytes, 11..<13), bytes[13] == UInt8(ascii: ":"),
            let minute = digits(bytes, 14..<16), bytes[16] == UInt8(ascii: ":"),
            let second = digits(bytes, 17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var position = 19
        var nanoseconds: UInt32 = 0
        if bytes[position] == UInt8(ascii: ".") {
            position += 1
            let start = position
            while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
            guard (1...9).contains(position - start),
                let fraction = digits(bytes, start..<position)
            else { return nil }
            nanoseconds = UInt32(fraction)
            for _ in position - start..<9 { nanoseconds *= 10 }
        }
        guard let offset = offset(bytes[position...]) else { return nil }
        let days = daysSince1970(year: year, month: month, day: day)
        return Timestamp(
            seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset,
            nanoseconds: nanoseconds)
    }

    private static func offset(_ rest: ArraySlice<UInt8>) -> Int64? {
        let bytes = Array(rest)
        if bytes == [UInt8(ascii: "Z")] { return 0 }
        guard bytes.count == 6, bytes[3] == UInt8(ascii: ":"), let hours = digits(bytes, 1..<3),
            let minutes = digits(bytes, 4..<6), hours < 24, minutes < 60
        else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "+"): return hours * 3600 + minutes * 60
        case UInt8(ascii: "-"): return -(hours * 3600 + minutes * 60)
        default: return nil
        }
    }

    private static func digits(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
        guard range.upperBound <= bytes.count,
            bytes[range].allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return bytes[range].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The proleptic Gregorian date, by the era method (400 years have 146,097 days).
    private static func civilDate(
        daysSince1970 days: Int64
    ) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).quotientAndRemainderFloored(dividingBy: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shifted + 2) / 5 + 1
        )
    }

    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = shiftedYear.quotientAndRemainderFloored(dividingBy: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
}

extension Int64 {
    /// Quotient rounded down and a remainder that is never negative.
    fileprivate func quotientAndRemainderFloored(
        dividingBy divisor: Int64
    ) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
