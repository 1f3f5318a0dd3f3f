import BackupCore

/// Puts values behind each other, little endian.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func unsigned8(_ value: UInt8) { bytes.append(value) }
    mutating func unsigned16(_ value: UInt16) { integer(value) }
    mutating func unsigned32(_ value: UInt32) { integer(value) }
    mutating func unsigned64(_ value: UInt64) { integer(value) }

    /// A length of 2 bytes and at most `limit` bytes; what is beyond is cut off.
    mutating func blob(_ value: some Collection<UInt8>, limit: Int) {
        let kept = value.prefix(min(limit, Int(UInt16.max)))
        unsigned16(UInt16(kept.count))
        bytes.append(contentsOf: kept)
    }

    /// Content with a length of 4 bytes.
    mutating func content(_ value: [UInt8]) {
        unsigned32(UInt32(clamping: value.count))
        bytes.append(contentsOf: value)
    }

    /// Starts anew, keeping the memory.
    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    /// Text as a blob of its UTF-8.
    mutating func text(_ value: String) { blob(Array(value.utf8), limit: WireLimit.text) }

    mutating func optional<Value>(
        _ value: Value?, _ write: (inout WireWriter, Value) -> Void
    ) {
        unsigned8(value == nil ? 0 : 1)
        if let value { write(&self, value) }
    }

    private mutating func integer(_ value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

/// Takes values off hostile bytes; anything that does not fit is a violation, never a trap.
struct WireReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether all bytes have been taken.
    var isAtEnd: Bool { position == bytes.count }

    mutating func unsigned8() throws(DeviceError) -> UInt8 { try integer() }
    mutating func unsigned16() throws(DeviceError) -> UInt16 { try integer() }
    mutating func unsigned32() throws(DeviceError) -> UInt32 { try integer() }
    mutating func unsigned64() throws(DeviceError) -> UInt64 { try integer() }

    mutating func blob(limit: Int) throws(DeviceError) -> [UInt8] {
        let count = Int(try unsigned16())
        guard count <= limit else { throw .wireViolation("a text of \(count) bytes") }
        return Array(try take(count))
    }

    /// Content of 1 to `limit` bytes.
    mutating func content(limit: Int) throws(DeviceError) -> [UInt8] {
        let count = Int(try unsigned32())
        guard (1...limit).contains(count) else { throw .wireViolation("a piece of \(count) bytes") }
        return Array(try take(count))
    }

    /// Text; bytes that are not UTF-8 become U+FFFD.
    mutating func text() throws(DeviceError) -> String {
        String(decoding: try blob(limit: WireLimit.text), as: UTF8.self)
    }

    mutating func boolean() throws(DeviceError) -> Bool {
        switch try unsigned8() {
        case 0: false
        case 1: true
        default: throw .wireViolation("a flag that is neither yes nor no")
        }
    }

    mutating func optional<Value>(
        _ read: (inout WireReader) throws(DeviceError) -> Value
    ) throws(DeviceError) -> Value? {
        try boolean() ? try read(&self) : nil
    }

    /// Says that nothing may follow.
    func end() throws(DeviceError) {
        guard isAtEnd else { throw .wireViolation("a message longer than its content") }
    }

    private mutating func take(_ count: Int) throws(DeviceError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - position else {
            throw .wireViolation("a message shorter than its content")
        }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>() throws(DeviceError)
        -> Value
    {
        let slice = try take(Value.bitWidth / 8)
        var value: Value = 0
        for byte in slice.reversed() { value = value << 8 | Value(byte) }
        return value
    }
}
