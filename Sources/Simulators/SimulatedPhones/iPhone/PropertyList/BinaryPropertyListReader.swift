/// Reads "bplist00": objects, a table of their places, and 32 bytes at the end that say where
/// the table is (CoreFoundation, CFBinaryPList.c).
struct BinaryPropertyListReader {
    static let magic = Array("bplist00".utf8)

    /// Nested deeper than any real list; one that contains itself ends here.
    private static let depthLimit = 128
    /// A list whose arrays share one another unfolds to more than its bytes; this ends it.
    private static let objectLimit = 4_000_000

    private let bytes: [UInt8]
    private var offsetSize = 0
    private var referenceSize = 0
    private var objectCount = 0
    private var topObject = 0
    private var tableOffset = 0
    private var visited = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The top object with all below it.
    mutating func read() throws(PropertyListProblem) -> PropertyList {
        guard bytes.count >= 40 else { throw problem("it is shorter than its trailer") }
        let trailer = bytes.count - 32
        offsetSize = Int(bytes[trailer + 6])
        referenceSize = Int(bytes[trailer + 7])
        objectCount = try number(at: trailer + 8, size: 8)
        topObject = try number(at: trailer + 16, size: 8)
        tableOffset = try number(at: trailer + 24, size: 8)
        guard (1...8).contains(offsetSize), (1...8).contains(referenceSize),
            objectCount <= trailer, tableOffset <= trailer - objectCount * offsetSize
        else { throw problem("its trailer lies") }
        return try object(topObject, depth: 0)
    }

    private func problem(_ text: String) -> PropertyListProblem {
        PropertyListProblem(description: "This binary property list cannot be read: \(text).")
    }

    /// A number of up to eight bytes, most significant first; more than Int throws.
    private func number(at offset: Int, size: Int) throws(PropertyListProblem) -> Int {
        guard offset >= 0, size <= bytes.count, offset <= bytes.count - size else {
            throw problem("a number lies outside")
        }
        var value: UInt64 = 0
        for index in offset..<(offset + size) { value = (value << 8) | UInt64(bytes[index]) }
        guard let fits = Int(exactly: value) else { throw problem("a number is too large") }
        return fits
    }

    private mutating func object(
        _ index: Int, depth: Int
    ) throws(PropertyListProblem) -> PropertyList {
        visited += 1
        guard index < objectCount, depth < Self.depthLimit, visited <= Self.objectLimit else {
            throw problem("it is nested without end")
        }
        let offset = try number(at: tableOffset + index * offsetSize, size: offsetSize)
        guard offset < bytes.count else { throw problem("an object lies outside") }
        let low = Int(bytes[offset] & 0x0F)
        switch bytes[offset] >> 4 {
        case 0x0 where low == 8 || low == 9: return .boolean(low == 9)
        case 0x1: return try integer(at: offset + 1, power: low)
        case 0x2: return .real(try real(at: offset + 1, power: low))
        case 0x3: return .date(try real(at: offset + 1, power: 3))
        case 0x4:
            let (start, count) = try extent(at: offset, unit: 1)
            return .data(Array(bytes[start..<(start + count)]))
        case 0x5:
            let (start, count) = try extent(at: offset, unit: 1)
            return .string(String(decoding: bytes[start..<(start + count)], as: UTF8.self))
        case 0x6: return .string(try wideText(at: offset))
        case 0x8:
            let value = try number(at: offset + 1, size: low + 1)
            return .uid(UInt64(value))
        case 0xA, 0xC:
            let (start, count) = try extent(at: offset, unit: referenceSize)
            return .array(try objects(at: start, count: count, depth: depth))
        case 0xD: return try dictionary(at: offset, depth: depth)
        default: throw problem("it has an object of an unknown kind")
        }
    }

    /// Where the content of an object begins and how many units it has, all of them inside.
    private func extent(
        at offset: Int, unit: Int
    ) throws(PropertyListProblem) -> (start: Int, count: Int) {
        var count = Int(bytes[offset] & 0x0F)
        var start = offset + 1
        if count == 0x0F {
            guard start < bytes.count, bytes[start] >> 4 == 1, bytes[start] & 0x0F <= 3 else {
                throw problem("a length is no number")
            }
            let size = 1 << Int(bytes[start] & 0x0F)
            count = try number(at: start + 1, size: size)
            start += 1 + size
        }
        guard start <= bytes.count, count <= (bytes.count - start) / unit else {
            throw problem("a length points outside")
        }
        return (start, count)
    }

    private func integer(
        at offset: Int, power: Int
    ) throws(PropertyListProblem) -> PropertyList {
        let size = 1 << power
        guard power <= 4, size <= bytes.count, offset <= bytes.count - size else {
            throw problem("a number lies outside")
        }
        var value: UInt64 = 0
        for index in offset..<(offset + size) { value = (value << 8) | UInt64(bytes[index]) }
        // One, two and four bytes are unsigned; eight are two's complement; sixteen are there
        // for what lies between.
        if power == 4 { return .number(value) }
        return .integer(Int64(bitPattern: value))
    }

    private func real(at offset: Int, power: Int) throws(PropertyListProblem) -> Double {
        let size = 1 << power
        guard power == 2 || power == 3, offset <= bytes.count - size else {
            throw problem("a number lies outside")
        }
        var value: UInt64 = 0
        for index in offset..<(offset + size) { value = (value << 8) | UInt64(bytes[index]) }
        if power == 2 { return Double(Float(bitPattern: UInt32(truncatingIfNeeded: value))) }
        return Double(bitPattern: value)
    }

    private func wideText(at offset: Int) throws(PropertyListProblem) -> String {
        let (start, count) = try extent(at: offset, unit: 2)
        let units = (0..<count).map { index in
            UInt16(bytes[start + index * 2]) << 8 | UInt16(bytes[start + index * 2 + 1])
        }
        return String(decoding: units, as: UTF16.self)
    }

    private mutating func objects(
        at start: Int, count: Int, depth: Int
    ) throws(PropertyListProblem) -> [PropertyList] {
        var items: [PropertyList] = []
        items.reserveCapacity(count)
        for index in 0..<count {
            let reference = try number(at: start + index * referenceSize, size: referenceSize)
            items.append(try object(reference, depth: depth + 1))
        }
        return items
    }

    private mutating func dictionary(
        at offset: Int, depth: Int
    ) throws(PropertyListProblem) -> PropertyList {
        let (start, count) = try extent(at: offset, unit: referenceSize * 2)
        let keys = try objects(at: start, count: count, depth: depth)
        let values = try objects(at: start + count * referenceSize, count: count, depth: depth)
        var entries: [String: PropertyList] = [:]
        entries.reserveCapacity(count)
        for (key, value) in zip(keys, values) {
            guard let name = key.text else { throw problem("a key is no string") }
            entries[name] = value
        }
        return .dictionary(entries)
    }
}
