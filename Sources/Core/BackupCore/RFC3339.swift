/// A date as JSON has it: RFC 3339 with up to nine digits of second, zeros at the end left out,
/// as Go's `time.RFC3339Nano`.
///
/// Days are counted in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level
/// date algorithms").
package enum RFC3339 {
    /// 0000-01-01T00:00:00Z ... 9999-12-31T23:59:59Z. Go refuses to write other years, and
    /// restic then moves the year to the nearest of these.
    private static let writableSeconds: ClosedRange<Int64> = -62_167_219_200...253_402_300_799

    /// `time` at the given offset from UTC; whole minutes of it count. Beyond the years 0 to 9999
    /// the nearest writable moment stands instead: a phone's broken clock must not make a folder
    /// unstorable.
    package static func text(_ time: Timestamp, utcOffsetSeconds: Int = 0) -> String {
        let offset = min(max(utcOffsetSeconds / 60, -23 * 60 - 59), 23 * 60 + 59) * 60
        var nanoseconds = time.nanoseconds
        let low = writableSeconds.lowerBound - Int64(min(offset, 0))
        let high = writableSeconds.upperBound - Int64(max(offset, 0))
        var seconds = time.seconds
        if seconds < low { (seconds, nanoseconds) = (low, 0) }
        if seconds > high { (seconds, nanoseconds) = (high, 999_999_999) }
        let local = seconds + Int64(offset)
        let day = local.floorDivided(by: 86_400)
        let second = Int(local - day * 86_400)
        let date = civil(day)
        return pad(date.year, 4) + "-" + pad(date.month, 2) + "-" + pad(date.day, 2) + "T"
            + pad(second / 3600, 2) + ":" + pad(second / 60 % 60, 2) + ":" + pad(second % 60, 2)
            + fraction(nanoseconds) + zone(offset)
    }

    private static func fraction(_ nanoseconds: UInt32) -> String {
        guard nanoseconds > 0 else { return "" }
        var digits = pad(Int(nanoseconds), 9)
        while digits.hasSuffix("0") { digits.removeLast() }
        return "." + digits
    }

    private static func zone(_ offset: Int) -> String {
        guard offset != 0 else { return "Z" }
        let minutes = abs(offset) / 60
        return (offset < 0 ? "-" : "+") + pad(minutes / 60, 2) + ":" + pad(minutes % 60, 2)
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The moment and the offset in seconds that `text` tells; nil when it is no such date.
    package static func parse(_ text: ArraySlice<UInt8>) -> (
        time: Timestamp, utcOffsetSeconds: Int
    )? {
        var rest = text
        guard let year = digits(&rest, 4), take("-", &rest), let month = digits(&rest, 2),
            take("-", &rest), let day = digits(&rest, 2), take("T", &rest),
            let hour = digits(&rest, 2), take(":", &rest), let minute = digits(&rest, 2),
            take(":", &rest), let second = digits(&rest, 2),
            let nanoseconds = parseFraction(&rest), let offset = parseZone(rest),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let local = days(year, month, day) * 86_400 + Int64(hour * 3600 + minute * 60 + second)
        return (Timestamp(seconds: local - Int64(offset), nanoseconds: nanoseconds), offset)
    }

    /// The moment that `text` tells; nil when it is no such date.
    package static func time(_ text: String) -> Timestamp? { parse(Array(text.utf8)[...])?.time }

    private static func take(_ scalar: Unicode.Scalar, _ rest: inout ArraySlice<UInt8>) -> Bool {
        guard rest.first == UInt8(ascii: scalar) else { return false }
        rest.removeFirst()
        return true
    }

    private static func digits(_ rest: inout ArraySlice<UInt8>, _ count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard let byte = rest.popFirst(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// Digits beyond the ninth are read and dropped.
    private static func parseFraction(_ rest: inout ArraySlice<UInt8>) -> UInt32? {
        guard take(".", &rest) else { return 0 }
        let fraction = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !fraction.isEmpty else { return nil }
        rest.removeFirst(fraction.count)
        var value: UInt32 = 0
        var nine = fraction.prefix(9)
        for _ in 0..<9 { value = value * 10 + UInt32((nine.popFirst() ?? 48) - 48) }
        return value
    }

    private static func parseZone(_ text: ArraySlice<UInt8>) -> Int? {
        var rest = text
        if rest.elementsEqual("Z".utf8) { return 0 }
        let isBehind = rest.first == UInt8(ascii: "-")
        guard isBehind || rest.first == UInt8(ascii: "+") else { return nil }
        rest.removeFirst()
        guard let hours = digits(&rest, 2), take(":", &rest), let minutes = digits(&rest, 2),
            rest.isEmpty, hours < 24, minutes < 60
        else { return nil }
        return (isBehind ? -60 : 60) * (hours * 60 + minutes)
    }

    /// The date of the day that lies `day` days after 1970-01-01; months and days from 1.
    package static func civil(_ day: Int64) -> (year: Int, month: Int, day: Int) {
        // Years run from March here, so that a leap day is a year's last.
        let shifted = day + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + Int(era) * 400 + (month >= 10 ? 1 : 0)
        return (year, month < 10 ? month + 3 : month - 9, dayOfYear - (153 * month + 2) / 5 + 1)
    }

    /// The days from 1970-01-01 to a date; what `civil(_:)` undoes. The month must be 1 to 12, a
    /// day beyond the month's end runs on into the next.
    package static func days(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = Int64(month <= 2 ? year - 1 : year)
        let era = shifted.floorDivided(by: 400)
        let yearOfEra = Int(shifted - era * 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + Int64(dayOfEra) - 719_468
    }
}

extension Int64 {
    /// The quotient rounded down; `divisor` is positive.
    package func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
