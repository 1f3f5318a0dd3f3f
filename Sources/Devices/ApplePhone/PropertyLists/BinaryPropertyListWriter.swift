/// Writes the binary form. Keys are sorted, so that the same list always gives the same bytes.
struct BinaryPropertyListWriter {
    private var bytes = Array("bplist00".utf8)
    private var offsets: [Int] = []
    /// Texts of ASCII already written, and their objects: the keys of a thousand equal
    /// dictionaries are stored once. ASCII alone, because Swift takes a composed and a decomposed
    /// letter for equal and the phone does not.
    private var known: [String: Int] = [:]
    private let referenceWidth: Int

    static func write(_ list: PropertyList) -> [UInt8] {
        var writer = BinaryPropertyListWriter(referenceWidth: width(UInt64(count(list))))
        let top = writer.add(list)
        return writer.finish(top)
    }

    private init(referenceWidth: Int) { self.referenceWidth = referenceWidth }

    /// Adds an object and what is in it; gives its number.
    private mutating func add(_ list: PropertyList) -> Int {
        if case .string(let text) = list { return add(text) }
        switch list {
        case .array(let items):
            let references = items.map { add($0) }
            let object = begin()
            marker(0xA0, count: references.count)
            for reference in references { unsigned(UInt64(reference), width: referenceWidth) }
            return object
        case .dictionary(let entries):
            let sorted = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            let references = sorted.map { add($0.key) } + sorted.map { add($0.value) }
            let object = begin()
            marker(0xD0, count: sorted.count)
            for reference in references { unsigned(UInt64(reference), width: referenceWidth) }
            return object
        default:
            let object = begin()
            addScalar(list)
            return object
        }
    }

    private mutating func addScalar(_ list: PropertyList) {
        switch list {
        case .data(let content):
            marker(0x40, count: content.count)
            bytes.append(contentsOf: content)
        case .integer(let value): integer(value)
        case .unsigned(let value):
            guard let signed = Int64(exactly: value) else {
                bytes.append(0x14)
                unsigned(0, width: 8)
                return unsigned(value, width: 8)
            }
            integer(signed)
        case .real(let value):
            bytes.append(0x23)
            unsigned(value.bitPattern, width: 8)
        case .date(let seconds):
            bytes.append(0x33)
            unsigned(seconds.bitPattern, width: 8)
        case .boolean(let flag): bytes.append(flag ? 0x09 : 0x08)
        case .uid(let value):
            let width = Self.width(value)
            bytes.append(0x80 | UInt8(width - 1))
            unsigned(value, width: width)
        case .string, .array, .dictionary: break
        }
    }

    private mutating func add(_ text: String) -> Int {
        let isASCII = text.utf8.allSatisfy { $0 < 0x80 }
        if isASCII, let object = known[text] { return object }
        let object = begin()
        if isASCII {
            known[text] = object
            marker(0x50, count: text.utf8.count)
            bytes.append(contentsOf: text.utf8)
        } else {
            marker(0x60, count: text.utf16.count)
            for unit in text.utf16 { unsigned(UInt64(unit), width: 2) }
        }
        return object
    }

    /// Numbers below zero take 8 bytes: shorter ones are unsigned.
    private mutating func integer(_ value: Int64) {
        let pattern = UInt64(bitPattern: value)
        let width = Self.width(pattern)
        bytes.append(0x10 | UInt8(width.trailingZeroBitCount))
        unsigned(pattern, width: width)
    }

    private mutating func marker(_ kind: UInt8, count: Int) {
        guard count >= 0x0F else { return bytes.append(kind | UInt8(count)) }
        bytes.append(kind | 0x0F)
        integer(Int64(count))
    }

    private mutating func begin() -> Int {
        offsets.append(bytes.count)
        return offsets.count - 1
    }

    private mutating func unsigned(_ value: UInt64, width: Int) {
        for shift in stride(from: (width - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    private mutating func finish(_ top: Int) -> [UInt8] {
        let table = bytes.count
        let offsetWidth = Self.width(UInt64(table))
        for offset in offsets { unsigned(UInt64(offset), width: offsetWidth) }
        bytes.append(contentsOf: [0, 0, 0, 0, 0, 0, UInt8(offsetWidth), UInt8(referenceWidth)])
        unsigned(UInt64(offsets.count), width: 8)
        unsigned(UInt64(top), width: 8)
        unsigned(UInt64(table), width: 8)
        return bytes
    }

    /// The fewest bytes of 1, 2, 4 and 8 that hold `value`.
    private static func width(_ value: UInt64) -> Int {
        value <= 0xFF ? 1 : value <= 0xFFFF ? 2 : value <= 0xFFFF_FFFF ? 4 : 8
    }

    /// At least the number of objects that `list` becomes.
    private static func count(_ list: PropertyList) -> Int {
        switch list {
        case .array(let items): items.reduce(1) { $0 + count($1) }
        case .dictionary(let entries): entries.values.reduce(1) { $0 + 1 + count($1) }
        default: 1
        }
    }
}
