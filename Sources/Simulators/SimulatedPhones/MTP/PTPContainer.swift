/// The 12-byte head of everything on the bulk endpoints, with parameters for commands,
/// responses and events (PIMA 15740 over USB, D.7.1).
package struct PTPContainer: Equatable, Sendable {
    /// What a container carries.
    package enum Kind: UInt16, Sendable {
        case command = 1
        case data = 2
        case response = 3
        case event = 4
    }
    /// Length of the head, in bytes.
    package static let headSize = 12

    /// Whole length in bytes, the head included; 0xFFFFFFFF when it does not fit.
    package var length: UInt32
    /// What it carries.
    package var kind: Kind
    /// Operation, response or event code.
    package var code: UInt16
    /// Number of the transaction.
    package var transaction: UInt32
    /// At most five parameters; none for data.
    package var parameters: [UInt32]

    /// A container without data.
    package init(kind: Kind, code: UInt16, transaction: UInt32, parameters: [UInt32] = []) {
        self.length = UInt32(Self.headSize + parameters.count * 4)
        self.kind = kind
        self.code = code
        self.transaction = transaction
        self.parameters = parameters
    }

    /// The head of a data phase of `byteCount` bytes.
    package init(dataFor code: UInt16, transaction: UInt32, byteCount: UInt64) {
        self.init(kind: .data, code: code, transaction: transaction)
        let whole = byteCount.addingReportingOverflow(UInt64(Self.headSize))
        length = UInt32(clamping: whole.overflow ? UInt64.max : whole.partialValue)
    }

    /// Nil when the bytes are too short or of an unknown kind.
    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let length: UInt32 = reader.take(), let rawKind: UInt16 = reader.take(),
            let kind = Kind(rawValue: rawKind), let code: UInt16 = reader.take(),
            let transaction: UInt32 = reader.take()
        else { return nil }
        self.length = length
        self.kind = kind
        self.code = code
        self.transaction = transaction
        self.parameters = []
        guard kind != .data else { return }
        while parameters.count < 5, reader.position < Int(length), let value: UInt32 = reader.take()
        {
            parameters.append(value)
        }
    }

    /// The bytes on the wire, without a data phase's data.
    package var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(length)
        writer.put(kind.rawValue)
        writer.put(code)
        writer.put(transaction)
        for parameter in parameters { writer.put(parameter) }
        return writer.bytes
    }
}
