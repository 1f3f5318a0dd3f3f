/// What the phone really answered to one request, read from the bytes of its containers
/// (PIMA 15740, appendix D, and the MTP 1.1 specification, "USB containers": length 4, type 2,
/// code 2, transaction 4, then the payload; little endian).
enum Answer: Equatable {
    /// A data phase that arrived whole, and response OK.
    case data([UInt8])
    /// The phone answered with this response code.
    case refused(UInt16)
    /// Neither: cut short, garbled or nothing at all.
    case broken

    static let ok: UInt16 = 0x2001

    /// Reads a transaction that has a data phase towards us.
    init(_ transaction: TransactionLog.Transaction) {
        guard transaction.readFailure == nil,
            let first = Container(transaction.received[...])
        else {
            self = .broken
            return
        }
        switch first.type {
        case .response: self = first.code == Self.ok ? .broken : .refused(first.code)
        case .data where first.code == transaction.operation:
            let rest = transaction.received.dropFirst(12 + first.payload.count)
            guard let last = Container(rest), last.type == .response else {
                self = .broken
                return
            }
            self = last.code == Self.ok ? .data(Array(first.payload)) : .refused(last.code)
        default: self = .broken
        }
    }
}

/// One container with all the bytes it announces.
private struct Container {
    enum Kind: UInt16 { case command = 1, data, response, event }

    let type: Kind
    let code: UInt16
    let payload: ArraySlice<UInt8>

    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= 12 else { return nil }
        let start = bytes.startIndex
        let length = Int(littleEndian(bytes[start..<start + 4]))
        guard length >= 12, length <= bytes.count,
            let type = Kind(rawValue: UInt16(littleEndian(bytes[start + 4..<start + 6])))
        else { return nil }
        self.type = type
        code = UInt16(littleEndian(bytes[start + 6..<start + 8]))
        payload = bytes[start + 12..<start + length]
    }
}

/// An array of 32-bit numbers: a count, then as many values and nothing else; nil otherwise.
func longArray(_ payload: [UInt8]) -> [UInt32]? {
    guard payload.count >= 4, payload.count % 4 == 0,
        littleEndian(payload[0..<4]) == payload.count / 4 - 1
    else { return nil }
    return stride(from: 4, to: payload.count, by: 4).map {
        UInt32(littleEndian(payload[$0..<$0 + 4]))
    }
}

private func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}
