import BackupCore

/// Reads the binary form: a header of 8 bytes, objects, a table of their offsets and a trailer of
/// 32 bytes that says how wide offsets and references are (CoreFoundation, CFBinaryPList.c).
///
/// An object may be referred to many times and, in a hostile list, by itself. Nothing is kept of
/// an object once it is read: each reference is read again and counted again, so that the limits
/// of depth and number bound the result whatever its shape.
struct BinaryPropertyListReader {
    static let magic = Array("bplist0".utf8)
    private static let headerLength = 8
    private static let trailerLength = 32

    private let bytes: [UInt8]
    /// Where the offset table begins; objects lie before it.
    private let tableStart: Int
    private let offsetWidth: Int
    private let referenceWidth: Int
    private let objectCount: Int
    private var budget: PropertyListBudget

    static func read(
        _ bytes: [UInt8], _ limits: PropertyList.Limits
    ) throws(DeviceError) -> PropertyList {
        var reader = try BinaryPropertyListReader(bytes, limits)
        let top = Self.bigEndian(bytes[(bytes.count - 16)..<(bytes.count - 8)])
        return try reader.object(reader.index(top), depth: 0)
    }

    private init(_ bytes: [UInt8], _ limits: PropertyList.Limits) throws(DeviceError) {
        let trailer = bytes.count - Self.trailerLength
        guard trailer >= Self.headerLength else { throw .propertyListDamaged("that is cut short") }
        self.bytes = bytes
        budget = PropertyListBudget(limits)
        offsetWidth = Int(bytes[trailer + 6])
        referenceWidth = Int(bytes[trailer + 7])
        let count = Self.bigEndian(bytes[(trailer + 8)..<(trailer + 16)])
        let table = Self.bigEndian(bytes[(trailer + 24)..<(trailer + 32)])
        guard (1...8).contains(offsetWidth), (1...8).contains(referenceWidth),
            (UInt64(Self.headerLength)...UInt64(trailer)).contains(table),
            count <= (UInt64(trailer) - table) / UInt64(offsetWidth)
        else { throw .propertyListDamaged("whose table of objects lies outside it") }
        objectCount = Int(count)
        tableStart = Int(table)
    }

    // MARK: - Objects

    private mutating func object(_ index: Int, depth: Int) throws(DeviceError) -> PropertyList {
        try budget.spendElement(depth: depth)
        var position = try offset(of: index)
        let marker = bytes[position]
        position += 1
        let low = Int(marker & 0x0F)
        switch marker >> 4 {
        case 0x0 where marker == 0x08: return .boolean(false)
        case 0x0 where marker == 0x09: return .boolean(true)
        case 0x1: return try integer(at: position, widthExponent: low)
        case 0x2 where low == 2:
            let bits = UInt32(truncatingIfNeeded: try unsigned(at: position, width: 4))
            return .real(Double(Float(bitPattern: bits)))
        case 0x2 where low == 3:
            return .real(Double(bitPattern: try unsigned(at: position, width: 8)))
        case 0x3 where low == 3:
            return .date(Double(bitPattern: try unsigned(at: position, width: 8)))
        case 0x4:
            let content = try slice(at: &position, count: low, unit: 1)
            try budget.spendData(content.count)
            return .data(Array(content))
        case 0x5, 0x6, 0x7: return .string(try text(marker, at: position))
        case 0x8 where low < 8: return .uid(try unsigned(at: position, width: low + 1))
        case 0xA: return try array(at: position, count: low, depth: depth)
        case 0xD: return try dictionary(at: position, count: low, depth: depth)
        default: throw .propertyListDamaged("with a value of an unknown kind")
        }
    }

    /// Up to 4 bytes are unsigned, 8 are signed, 16 hold what 8 cannot.
    private func integer(
        at position: Int, widthExponent: Int
    ) throws(DeviceError) -> PropertyList {
        switch widthExponent {
        case 0...2:
            .integer(Int64(try unsigned(at: position, width: 1 << widthExponent)))
        case 3: .integer(Int64(bitPattern: try unsigned(at: position, width: 8)))
        case 4:
            switch try unsigned(at: position, width: 8) {
            case 0: .number(try unsigned(at: position + 8, width: 8))
            case .max: .integer(Int64(bitPattern: try unsigned(at: position + 8, width: 8)))
            default: throw .propertyListDamaged("with a number beyond 64 bits")
            }
        default: throw .propertyListDamaged("with a number beyond 64 bits")
        }
    }

    /// ASCII and UTF-8 (0x5, 0x7) count bytes, UTF-16 (0x6) counts units, big endian. What is not
    /// well formed becomes U+FFFD.
    private mutating func text(_ marker: UInt8, at start: Int) throws(DeviceError) -> String {
        var position = start
        let isWide = marker >> 4 == 0x6
        let content = try slice(
            at: &position, count: Int(marker & 0x0F), unit: isWide ? 2 : 1)
        try budget.spendText(content.count)
        guard isWide else { return String(decoding: content, as: UTF8.self) }
        let units = stride(from: content.startIndex, to: content.endIndex, by: 2).map {
            UInt16(content[$0]) << 8 | UInt16(content[$0 + 1])
        }
        return String(decoding: units, as: UTF16.self)
    }

    private mutating func array(
        at start: Int, count: Int, depth: Int
    ) throws(DeviceError) -> PropertyList {
        var position = start
        let references = try slice(at: &position, count: count, unit: referenceWidth)
        var items: [PropertyList] = []
        for place in stride(
            from: references.startIndex, to: references.endIndex, by: referenceWidth)
        {
            items.append(try object(reference(at: place), depth: depth + 1))
        }
        return .array(items)
    }

    private mutating func dictionary(
        at start: Int, count: Int, depth: Int
    ) throws(DeviceError) -> PropertyList {
        var position = start
        let references = try slice(at: &position, count: count, unit: 2 * referenceWidth)
        let half = references.count / 2
        var entries: [String: PropertyList] = [:]
        for place in stride(
            from: references.startIndex, to: references.startIndex + half, by: referenceWidth)
        {
            guard case .string(let key) = try object(reference(at: place), depth: depth + 1) else {
                throw .propertyListDamaged("with a key that is no text")
            }
            let value = try object(reference(at: place + half), depth: depth + 1)
            guard entries.updateValue(value, forKey: key) == nil else {
                throw .propertyListDamaged("with two values for one key")
            }
        }
        return .dictionary(entries)
    }

    // MARK: - Bytes

    /// The content of an object whose marker said `count` units, 15 meaning that a number follows.
    private func slice(
        at position: inout Int, count: Int, unit: Int
    ) throws(DeviceError) -> ArraySlice<UInt8> {
        var announced = UInt64(count)
        if count == 0x0F {
            let marker = try unsigned(at: position, width: 1)
            guard marker & 0xF0 == 0x10, marker & 0x0F <= 3 else {
                throw .propertyListDamaged("with a length that is no number")
            }
            let width = 1 << Int(marker & 0x0F)
            announced = try unsigned(at: position + 1, width: width)
            position += 1 + width
        }
        guard position <= tableStart, announced <= UInt64((tableStart - position) / unit) else {
            throw .propertyListDamaged("with a value that is longer than the list")
        }
        return bytes[position..<(position + Int(announced) * unit)]
    }

    private func reference(at position: Int) throws(DeviceError) -> Int {
        try index(try unsigned(at: position, width: referenceWidth))
    }

    private func index(_ reference: UInt64) throws(DeviceError) -> Int {
        guard reference < UInt64(objectCount) else {
            throw .propertyListDamaged("that refers to a value it does not have")
        }
        return Int(reference)
    }

    private func offset(of index: Int) throws(DeviceError) -> Int {
        let entry = tableStart + index * offsetWidth
        let offset = Self.bigEndian(bytes[entry..<(entry + offsetWidth)])
        guard
            (UInt64(Self.headerLength)..<UInt64(max(tableStart, Self.headerLength))).contains(
                offset)
        else { throw .propertyListDamaged("with a value outside it") }
        return Int(offset)
    }

    private func unsigned(at position: Int, width: Int) throws(DeviceError) -> UInt64 {
        guard width <= tableStart - position else {
            throw .propertyListDamaged("with a value outside it")
        }
        return Self.bigEndian(bytes[position..<(position + width)])
    }

    private static func bigEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
