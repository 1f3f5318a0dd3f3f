/// Writes "bplist00". Equal strings are written once, as Apple's writer does; everything else
/// stands where it is used.
struct BinaryPropertyListWriter {
    /// An object whose children have their numbers.
    private enum Flat {
        case leaf(PropertyList)
        case array([Int])
        case dictionary(keys: [Int], values: [Int])
    }

    private var objects: [Flat] = []
    private var strings: [String: Int] = [:]
    private var bytes: [UInt8] = []

    mutating func write(_ list: PropertyList) -> [UInt8] {
        _ = add(list)
        let referenceSize = Self.size(of: UInt64(objects.count))
        bytes = BinaryPropertyListReader.magic
        var offsets: [Int] = []
        offsets.reserveCapacity(objects.count)
        for object in objects {
            offsets.append(bytes.count)
            switch object {
            case .leaf(let value): put(leaf: value)
            case .array(let references):
                put(head: 0xA, count: references.count)
                for reference in references { put(UInt64(reference), size: referenceSize) }
            case .dictionary(let keys, let values):
                put(head: 0xD, count: keys.count)
                for reference in keys + values { put(UInt64(reference), size: referenceSize) }
            }
        }
        let table = bytes.count
        let offsetSize = Self.size(of: UInt64(table))
        for offset in offsets { put(UInt64(offset), size: offsetSize) }
        bytes.append(contentsOf: [0, 0, 0, 0, 0, 0, UInt8(offsetSize), UInt8(referenceSize)])
        put(UInt64(objects.count), size: 8)
        put(0, size: 8)
        put(UInt64(table), size: 8)
        return bytes
    }

    /// The object's number; the top one gets 0.
    private mutating func add(_ value: PropertyList) -> Int {
        if case .string(let text) = value {
            if let known = strings[text] { return known }
            strings[text] = objects.count
        }
        let number = objects.count
        objects.append(.leaf(value))
        switch value {
        case .array(let items):
            objects[number] = .array(items.map { add($0) })
        case .dictionary(let entries):
            let sorted = entries.sorted { $0.key < $1.key }
            let keys = sorted.map { add(.string($0.key)) }
            objects[number] = .dictionary(keys: keys, values: sorted.map { add($0.value) })
        default: break
        }
        return number
    }

    private mutating func put(leaf value: PropertyList) {
        switch value {
        case .boolean(let truth): bytes.append(truth ? 9 : 8)
        case .integer(let number): put(integer: number)
        case .unsigned(let number):
            bytes.append(0x14)
            put(0, size: 8)
            put(number, size: 8)
        case .real(let number):
            bytes.append(0x23)
            put(number.bitPattern, size: 8)
        case .date(let seconds):
            bytes.append(0x33)
            put(seconds.bitPattern, size: 8)
        case .data(let content):
            put(head: 0x4, count: content.count)
            bytes.append(contentsOf: content)
        case .string(let text): put(text: text)
        case .uid(let number):
            let size = Self.size(of: number)
            bytes.append(0x80 | UInt8(size - 1))
            put(number, size: size)
        case .array, .dictionary: break  // these have children and are flat by now
        }
    }

    private mutating func put(text: String) {
        let content = Array(text.utf8)
        if content.allSatisfy({ $0 < 0x80 }) {
            put(head: 0x5, count: content.count)
            bytes.append(contentsOf: content)
        } else {
            let units = Array(text.utf16)
            put(head: 0x6, count: units.count)
            for unit in units { put(UInt64(unit), size: 2) }
        }
    }

    private mutating func put(integer number: Int64) {
        let size = number < 0 ? 8 : Self.size(of: UInt64(number))
        bytes.append(0x10 | UInt8(size.trailingZeroBitCount))
        put(UInt64(bitPattern: number), size: size)
    }

    private mutating func put(head: UInt8, count: Int) {
        guard count >= 0x0F else { return bytes.append(head << 4 | UInt8(count)) }
        bytes.append(head << 4 | 0x0F)
        put(integer: Int64(count))
    }

    private mutating func put(_ value: UInt64, size: Int) {
        for shift in stride(from: (size - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    /// 1, 2, 4 or 8: the bytes a number needs.
    private static func size(of value: UInt64) -> Int {
        switch value {
        case ...0xFF: 1
        case ...0xFFFF: 2
        case ...0xFFFF_FFFF: 4
        default: 8
        }
    }
}
