/// Writes a binary property list of fewer than 256 objects and 64 KiB, object by object: a
/// manifest of a million rows would take minutes with a general writer.
struct ArchiveWriter {
    private var bytes = Array("bplist00".utf8)
    private var offsets: [UInt16] = []

    mutating func add(text: String) -> UInt8 {
        begin()
        let content = Array(text.utf8)
        if content.allSatisfy({ $0 < 0x80 }) {
            put(head: 0x50, count: content.count)
            bytes += content
        } else {
            let units = Array(text.utf16)
            put(head: 0x60, count: units.count)
            for unit in units { put(UInt64(unit), size: 2) }
        }
        return last
    }

    mutating func add(integer: Int64) -> UInt8 {
        begin()
        put(integer: integer)
        return last
    }

    mutating func add(data: [UInt8]) -> UInt8 {
        begin()
        put(head: 0x40, count: data.count)
        bytes += data
        return last
    }

    mutating func add(uid: UInt8) -> UInt8 {
        begin()
        bytes += [0x80, uid]
        return last
    }

    mutating func add(array: [UInt8]) -> UInt8 {
        begin()
        put(head: 0xA0, count: array.count)
        bytes += array
        return last
    }

    mutating func add(dictionary: [(UInt8, UInt8)]) -> UInt8 {
        begin()
        put(head: 0xD0, count: dictionary.count)
        for entry in dictionary { bytes.append(entry.0) }
        for entry in dictionary { bytes.append(entry.1) }
        return last
    }

    /// The whole list, with the table of places and the trailer.
    consuming func finish(top: UInt8) -> [UInt8] {
        let table = bytes.count
        for offset in offsets { put(UInt64(offset), size: 2) }
        bytes += [0, 0, 0, 0, 0, 0, 2, 1]
        put(UInt64(offsets.count), size: 8)
        put(UInt64(top), size: 8)
        put(UInt64(table), size: 8)
        return bytes
    }

    private var last: UInt8 { UInt8(truncatingIfNeeded: offsets.count &- 1) }

    private mutating func begin() {
        offsets.append(UInt16(truncatingIfNeeded: bytes.count))
    }

    private mutating func put(integer: Int64) {
        let power = integer < 0 || integer > 0xFFFF_FFFF ? 3 : integer > 0xFFFF ? 2 : 1
        bytes.append(0x10 | UInt8(power))
        put(UInt64(bitPattern: integer), size: 1 << power)
    }

    private mutating func put(head: UInt8, count: Int) {
        guard count >= 15 else { return bytes.append(head | UInt8(count)) }
        bytes.append(head | 15)
        put(integer: Int64(count))
    }

    private mutating func put(_ value: UInt64, size: Int) {
        for shift in stride(from: (size - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }
}
