/// Reads libmtp's own log of USB traffic, line by line, and keeps what each answer really was.
///
/// libmtp hands out shortened results without a word: an object whose details fail is left out of
/// a listing, an array of handles that was cut short counts as empty. Its log (`LIBMTP_Set_Debug`
/// with the USB and DATA bits) tells each request's code, the bytes of each packet and each
/// response code, so the answers can be checked. The lines, as libmtp 1.1.x prints them:
///
///     LIBMTP ptp_usb_sendreq[1266]: REQUEST: 0x1007, Get object handles
///     LIBMTP ptp_write_func[1102]: USB OUT==>
///     LIBMTP ptp_read_func[909]: Result of read: 0x0000 (16 bytes)
///     LIBMTP ptp_read_func[918]: <==USB IN
///     <tab>0000: 1000 0000 0200 0710 …<tab>........
///     LIBMTP ptp_usb_getresp[1623]: 2001
struct TransactionLog {
    /// One request and what came back for it.
    struct Transaction: Equatable {
        let operation: UInt16
        /// Every byte the phone sent, headers included, up to ``TransactionLog/byteLimit``.
        var received: [UInt8] = []
        /// The response code that libmtp read, nil when it gave up before.
        var response: UInt16?
        /// libusb's code of a read that failed, as an unsigned 32-bit number.
        var readFailure: UInt32?
    }

    /// Transactions are kept from the first on, this many at most; all are counted.
    static let kept = 128
    /// Enough for a million handles.
    static let byteLimit = 8 << 20

    private(set) var transactions: [Transaction] = []
    private(set) var requestCount = 0
    /// Requests that the phone answered with OK (0x2001).
    private(set) var successCount = 0
    private var isInbound = false

    /// Takes one line, with or without its newline.
    mutating func take(_ line: Span<UInt8>) {
        guard line.count > 4 else { return }
        if line[0] == UInt8(ascii: "\t") {
            takeDump(line)
        } else if let start = afterTag(line) {
            takeMessage(line, start)
        }
    }

    /// The position after `LIBMTP function[line]: `, nil when the line does not start so.
    private func afterTag(_ line: Span<UInt8>) -> Int? {
        guard line[0] == UInt8(ascii: "L"), line[1] == UInt8(ascii: "I") else { return nil }
        for index in 0..<min(line.count - 2, 64)
        where line[index] == UInt8(ascii: "]") && line[index + 1] == UInt8(ascii: ":") {
            return index + 3
        }
        return nil
    }

    private mutating func takeMessage(_ line: Span<UInt8>, _ start: Int) {
        if starts(line, start, "REQUEST: 0x") {
            guard let code = hex(line, start + 11, 4) else { return }
            requestCount += 1
            isInbound = false
            if transactions.count < Self.kept {
                transactions.append(Transaction(operation: UInt16(code)))
            }
        } else if starts(line, start, "Result of read: 0x") {
            noteReadResult(line, start + 18)
        } else if starts(line, start, "<==USB IN") {
            isInbound = true
        } else if starts(line, start, "USB OUT==>") {
            isInbound = false
        } else if starts(line, 7, "ptp_usb_getresp["), let code = hex(line, start, 4),
            line.count - start <= 5
        {
            if code == 0x2001 { successCount += 1 }
            if isCurrentKept { transactions[transactions.count - 1].response = UInt16(code) }
        }
    }

    private mutating func noteReadResult(_ line: Span<UInt8>, _ start: Int) {
        guard isCurrentKept, let code = hex(line, start, 8) ?? hex(line, start, 4), code != 0
        else { return }
        transactions[transactions.count - 1].readFailure = code
    }

    /// Whether the newest request is among those kept.
    private var isCurrentKept: Bool { requestCount > 0 && requestCount == transactions.count }

    /// A row of a dump: an offset, a colon, pairs of hex digits, a tab, the same as text.
    private mutating func takeDump(_ line: Span<UInt8>) {
        guard isInbound, isCurrentKept else { return }
        var index = 1
        while index < line.count, line[index] != UInt8(ascii: ":") { index += 1 }
        index += 1
        var taken = 0
        while index + 1 < line.count, taken < 16, line[index] != UInt8(ascii: "\t") {
            guard let high = digit(line[index]), let low = digit(line[index + 1]) else {
                index += 1
                continue
            }
            append(UInt8(high << 4 | low))
            index += 2
            taken += 1
        }
    }

    private mutating func append(_ byte: UInt8) {
        let last = transactions.count - 1
        guard transactions[last].received.count < Self.byteLimit else { return }
        transactions[last].received.append(byte)
    }

    private func starts(_ line: Span<UInt8>, _ start: Int, _ text: StaticString) -> Bool {
        guard line.count - start >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount {
            // Sound: the index stays below the static text's length.
            if unsafe text.utf8Start[index] != line[start + index] { return false }
        }
        return true
    }

    private func hex(_ line: Span<UInt8>, _ start: Int, _ count: Int) -> UInt32? {
        guard line.count - start >= count else { return nil }
        var value: UInt32 = 0
        for index in start..<start + count {
            guard let digit = digit(line[index]) else { return nil }
            value = value << 4 | digit
        }
        return value
    }

    private func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        default: nil
        }
    }
}
