import BackupCore
import Testing

@testable import AndroidMTP

/// libmtp's log as 1.1.20 prints it.
enum LogText {
    static func request(_ code: String) -> String {
        "LIBMTP ptp_usb_sendreq[1266]: REQUEST: 0x\(code), Some operation\n"
            + "LIBMTP ptp_write_func[1102]: USB OUT==>\n"
            + dump([0x0C, 0, 0, 0, 1, 0, 7, 0x10, 1, 0, 0, 0])
            + "LIBMTP ptp_usb_getdata[1412]: GET DATA PHASE\n"
    }

    static func inbound(_ bytes: [UInt8]) -> String {
        "LIBMTP ptp_read_func[871]: Remaining size to read: 0x0200 bytes\n"
            + "LIBMTP ptp_read_func[909]: Result of read: 0x0000 (\(bytes.count) bytes)\n"
            + "LIBMTP ptp_read_func[918]: <==USB IN\n" + dump(bytes)
    }

    static func response(_ bytes: [UInt8], _ code: String) -> String {
        "LIBMTP ptp_usb_getresp[1596]: RESPONSE: " + inbound(bytes)
            + "LIBMTP ptp_usb_getresp[1623]: \(code)\n"
    }

    /// As libmtp's `data_dump_ascii` writes it.
    static func dump(_ bytes: [UInt8]) -> String {
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 16) {
            let row = bytes[start..<min(start + 16, bytes.count)]
            text += "\t\(hex(start, 4)):"
            for (index, byte) in row.enumerated() {
                text += (index % 2 == 0 ? " " : "") + hex(Int(byte), 2)
            }
            if row.count < 16 {
                let width = (16 - row.count) / 2 * 5 + 2 * (row.count % 2)
                text += String(repeating: " ", count: width)
            }
            text += "\t"
            for byte in row {
                text += (0x20...0x7E).contains(byte) ? String(UnicodeScalar(byte)) : "."
            }
            text += "\n"
        }
        return text
    }

    private static func hex(_ value: Int, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    static func log(_ text: String) -> TransactionLog {
        var log = TransactionLog()
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) { log.take(Array(line).span) }
        return log
    }
}

@Suite struct AnswerTests {
    static let ok: [UInt8] = [12, 0, 0, 0, 3, 0, 0x01, 0x20, 1, 0, 0, 0]

    /// A data container of GetObjectHandles with `handles`.
    static func handles(_ handles: [UInt32]) -> [UInt8] {
        var payload: [UInt8] = []
        for value in [UInt32(handles.count)] + handles {
            for shift in stride(from: 0, to: 32, by: 8) {
                payload.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
            }
        }
        let length = UInt32(12 + payload.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
            + [2, 0, 0x07, 0x10, 1, 0, 0, 0] + payload
    }

    static func answer(_ text: String) throws -> Answer {
        Answer(try #require(LogText.log(text).transactions.first))
    }

    @Test(arguments: [0, 1, 3, 4, 125, 126, 1000])
    func wholeListOfHandlesIsRead(count: Int) throws {
        let all = (0..<UInt32(count)).map { $0 &* 0x0907_0503 }
        let bytes = Self.handles(all)
        // As libmtp reads: one packet, then the rest.
        let text =
            LogText.request("1007") + LogText.inbound(Array(bytes.prefix(512)))
            + (bytes.count > 512 ? LogText.inbound(Array(bytes.dropFirst(512))) : "")
            + LogText.response(Self.ok, "2001")
        guard case .data(let payload) = try Self.answer(text) else {
            Issue.record("not whole")
            return
        }
        #expect(longArray(payload) == all)
    }

    @Test func handlesCutShortByTheLinkAreBroken() throws {
        let bytes = Array(Self.handles([1, 2, 3]).dropLast(4))
        let text =
            LogText.request("1007") + LogText.inbound(bytes) + LogText.response(Self.ok, "2001")
        #expect(try Self.answer(text) == .broken)
    }

    @Test func arrayThatAnnouncesMoreThanItHoldsIsNone() {
        #expect(longArray([2, 0, 0, 0, 9, 0, 0, 0]) == nil)
        #expect(longArray([]) == nil)
        #expect(longArray([0, 0, 0, 0]) == [])
        #expect(longArray([0xFF, 0xFF, 0xFF, 0xFF]) == nil)
    }

    @Test func refusalKeepsThePhonesCode() throws {
        let refusal: [UInt8] = [12, 0, 0, 0, 3, 0, 0x08, 0x20, 1, 0, 0, 0]
        #expect(
            try Self.answer(LogText.request("1007") + LogText.inbound(refusal)) == .refused(0x2008))
        let late =
            LogText.request("1007") + LogText.inbound(Self.handles([]))
            + LogText.response(refusal, "2008")
        #expect(try Self.answer(late) == .refused(0x2008))
    }

    @Test func failedReadIsBroken() throws {
        let text =
            LogText.request("1007")
            + "LIBMTP ptp_read_func[909]: Result of read: 0xfffffffc (0 bytes)\n"
        #expect(try Self.answer(text) == .broken)
        #expect(try Self.answer(LogText.request("1007")) == .broken)
    }

    @Test func requestsAndSuccessesAreCounted() {
        let one = LogText.request("1008") + LogText.inbound([1]) + LogText.response(Self.ok, "2001")
        let log = LogText.log(one + one + LogText.request("1008"))
        #expect(log.requestCount == 3)
        #expect(log.successCount == 2)
    }

    @Test(arguments: 0..<20) func noiseInTheLogNeverTraps(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var bytes = Array(
            (LogText.request("1007") + LogText.inbound(Self.handles([7, 8]))
                + LogText.response(Self.ok, "2001")).utf8)
        for _ in 0..<400 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            bytes[Int(state % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: state >> 32)
            var log = TransactionLog()
            for line in bytes.split(separator: UInt8(ascii: "\n")) { log.take(Array(line).span) }
            for transaction in log.transactions {
                if case .data(let payload) = Answer(transaction) {
                    #expect(payload.count <= bytes.count, "seed \(seed)")
                }
            }
        }
    }
}

@Suite struct OpeningFailureTests {
    @Test(arguments: [
        ("libusb_claim_interface() reports device is busy, likely in use by GVFS", "busy"),
        ("", "gone"), ("libusb_open() failed!: Permission denied", "unsuitable"),
        ("LIBMTP PANIC: Unable to find interface & endpoints of device", "unsuitable"),
        ("LIBMTP PANIC: failed to open session on second attempt", "timedOut"),
        ("libusb_open() failed!: No such device", "gone"),
    ])
    func printedReasonDecides(printed: String, code: String) {
        #expect(OpeningFailure.error(printed).code.rawValue == code)
    }
}
