/// Takes the little-endian fields of a PTP dataset one after another; a field that is not
/// there whole reads as nil and leaves the position where it was.
package struct ByteReader: Sendable {
    private let bytes: [UInt8]
    /// Index of the next byte.
    package private(set) var position: Int

    /// Reads `bytes` from `position` on.
    package init(_ bytes: [UInt8], from position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// How many bytes are left.
    package var remaining: Int { max(0, bytes.count - position) }

    /// The next integer, least significant byte first.
    package mutating func take<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value?
    {
        let size = Value.bitWidth / 8
        guard remaining >= size else { return nil }
        var value: Value = 0
        for index in 0..<size {
            value |= Value(truncatingIfNeeded: bytes[position + index]) << Value(index * 8)
        }
        position += size
        return value
    }

    /// The next integer, most significant byte first.
    package mutating func takeBig<Value: FixedWidthInteger>(_ type: Value.Type = Value.self)
        -> Value?
    {
        let size = Value.bitWidth / 8
        guard remaining >= size else { return nil }
        var value: Value = 0
        for index in 0..<size {
            value = (value << 8) | Value(truncatingIfNeeded: bytes[position + index])
        }
        position += size
        return value
    }

    /// The next PTP string without its closing zero.
    package mutating func takeUnits() -> [UInt16]? {
        guard let count: UInt8 = take() else { return nil }
        guard remaining >= Int(count) * 2 else {
            position -= 1
            return nil
        }
        var units: [UInt16] = []
        for _ in 0..<count {
            guard let unit: UInt16 = take() else { return nil }
            units.append(unit)
        }
        if units.last == 0 { units.removeLast() }
        return units
    }

    /// The next `count` bytes.
    package mutating func take(raw count: Int) -> [UInt8]? {
        guard count >= 0, remaining >= count else { return nil }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }
}
