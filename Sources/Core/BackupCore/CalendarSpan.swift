/// A length of time in a calendar's units, as `restic forget --keep-within` takes it: `1y5m7d2h`.
package struct CalendarSpan: Hashable, Sendable, CustomStringConvertible {
    /// The most of one unit, far below where counting days could overflow.
    private static let most = 999_999

    package var years = 0
    package var months = 0
    package var days = 0
    package var hours = 0

    /// The span that `text` tells: whole numbers, each with its unit `y`, `m`, `d` or `h`; nil
    /// when it tells none. restic takes negative numbers too, which keep nothing and are a
    /// mistake here.
    package init?(_ text: String) {
        var number: Int?
        for character in text.utf8 {
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) {
                let next = (number ?? 0) * 10 + Int(character - UInt8(ascii: "0"))
                guard next <= Self.most else { return nil }
                number = next
                continue
            }
            guard let count = number else { return nil }
            switch character {
            case UInt8(ascii: "y"): years = count
            case UInt8(ascii: "m"): months = count
            case UInt8(ascii: "d"): days = count
            case UInt8(ascii: "h"): hours = count
            default: return nil
            }
            number = nil
        }
        guard number == nil, self != CalendarSpan() else { return nil }
    }

    private init() {}

    package var description: String {
        [(years, "y"), (months, "m"), (days, "d"), (hours, "h")].filter { $0.0 > 0 }
            .map { "\($0.0)\($0.1)" }.joined()
    }

    /// The moment this long before `time`, by the calendar of a zone with the given offset. A day
    /// that the month lacks runs on into the next one, as Go's `AddDate` and so restic has it:
    /// one month before 31 March is 3 March.
    package func before(_ time: Timestamp, utcOffsetSeconds: Int) -> Timestamp {
        let local = time.seconds + Int64(utcOffsetSeconds)
        let day = local.floorDivided(by: 86_400)
        let date = RFC3339.civil(day)
        let month = Int64(date.year - years) * 12 + Int64(date.month - 1 - months)
        let year = month.floorDivided(by: 12)
        let first = RFC3339.days(Int(year), Int(month - year * 12) + 1, 1)
        let moved = (first + Int64(date.day - 1 - days) - day) * 86_400 - Int64(hours) * 3600
        return Timestamp(seconds: time.seconds + moved, nanoseconds: time.nanoseconds)
    }
}
