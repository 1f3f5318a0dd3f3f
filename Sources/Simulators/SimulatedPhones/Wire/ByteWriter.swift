/// Builds the little-endian byte layouts of PTP (ISO 15740, 5.3) and USB descriptors.
package struct ByteWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []

    /// An empty writer.
    package init() {}

    /// Appends an integer, least significant byte first.
    package mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        var rest = value
        for _ in 0..<(Value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    /// Appends an integer, most significant byte first (USB/IP).
    package mutating func putBig<Value: FixedWidthInteger>(_ value: Value) {
        for shift in stride(from: Value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }

    /// Appends bytes as they are.
    package mutating func put(raw: some Sequence<UInt8>) {
        bytes.append(contentsOf: raw)
    }

    /// A PTP string: count of UTF-16 units with the closing zero, then the units; an empty
    /// string is a single zero byte. Longer than 254 units is cut, as the count is one byte.
    package mutating func put(units: [UInt16]) {
        guard !units.isEmpty else { return bytes.append(0) }
        let kept = units.prefix(254)
        bytes.append(UInt8(kept.count + 1))
        for unit in kept { put(unit) }
        put(UInt16(0))
    }

    /// A PTP string from text.
    package mutating func put(text: String) {
        put(units: Array(text.utf16))
    }

    /// A PTP array: a 32-bit count, then the elements.
    package mutating func put<Value: FixedWidthInteger>(array: [Value]) {
        put(UInt32(array.count))
        for value in array { put(value) }
    }
}
