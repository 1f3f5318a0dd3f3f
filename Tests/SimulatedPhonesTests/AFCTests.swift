import Foundation
import Testing

@testable import SimulatedPhones

/// AFC, asked by hand in memory.
struct AFCTests {
    private struct Answer: Equatable {
        var operation: UInt64
        var payload: [UInt8]

        var status: UInt64? {
            var reader = ByteReader(payload)
            return operation == AFCOperation.status.rawValue ? reader.take() : nil
        }
        var texts: [String] {
            payload.split(separator: 0, omittingEmptySubsequences: false).dropLast()
                .map { String(decoding: $0, as: UTF8.self) }
        }
        var value: UInt64? {
            var reader = ByteReader(payload)
            return reader.take()
        }
    }

    private static func request(
        _ operation: AFCOperation, _ values: [UInt64] = [], texts: [String] = [],
        data: [UInt8] = []
    ) -> [UInt8] {
        var payload = ByteWriter()
        for value in values { payload.put(value) }
        for text in texts { payload.put(raw: Array(text.utf8) + [0]) }
        let this = UInt64(AFCHeader.size + payload.bytes.count)
        let header = AFCHeader(
            entireLength: this + UInt64(data.count), thisLength: this, number: 1,
            operation: operation)
        return header.bytes + payload.bytes + data
    }

    /// The phone's answers to the requests, on one connection.
    private static func ask(
        _ phone: SimulatediPhone, _ requests: [UInt8]...
    ) throws -> [Answer] {
        let host = ScriptedHost(requests.flatMap { $0 })
        #expect(throws: StreamEnd.self) { try AFCService().serve(host, phone: phone) }
        var answers: [Answer] = []
        var rest = host.fromPhone[...]
        while let header = AFCHeader(Array(rest.prefix(AFCHeader.size))) {
            let end = rest.startIndex + Int(header.entireLength)
            answers.append(
                Answer(
                    operation: header.operation,
                    payload: Array(rest[(rest.startIndex + AFCHeader.size)..<end])))
            rest = rest[end...]
        }
        return answers
    }

    @Test func filesAreWrittenReadAndDescribed() throws {
        let run = try IPhoneRun()
        let answers = try Self.ask(
            run.phone,
            Self.request(.makeDirectory, texts: ["/iTunesRestore/Deep"]),
            Self.request(.open, [3], texts: ["/iTunesRestore/a.plist"]),
            Self.request(.write, [1], data: Array("hello".utf8)),
            Self.request(.tell, [1]), Self.request(.close, [1]),
            Self.request(
                .setModified, [1_700_000_000_123_456_789], texts: ["iTunesRestore/a.plist"]),
            Self.request(.fileInfo, texts: ["/iTunesRestore/a.plist"]),
            Self.request(.open, [1], texts: ["/iTunesRestore/a.plist"]),
            Self.request(.seek, [2, 0, 1]), Self.request(.read, [2, 100]),
            Self.request(.read, [2, 100]), Self.request(.readDirectory, texts: ["/iTunesRestore"]))
        #expect(answers[0].status == 0)
        #expect(answers[1].value == 1)
        #expect(answers[2].status == 0)
        #expect(answers[3].value == 5)
        #expect(answers[4].status == 0)
        let info = answers[6].texts
        #expect(info.contains("S_IFREG") && info.contains("1700000000123456789"))
        #expect(Array(info.prefix(2)) == ["st_size", "5"])
        #expect(answers[9].payload == Array("ello".utf8))
        #expect(answers[10].payload.isEmpty)
        #expect(answers[11].texts == [".", "..", "Deep", "a.plist"])
        #expect(run.phone.counters.bytesRead == ["/iTunesRestore/a.plist": 4])
    }

    @Test func refusalsHaveAFCsCodes() throws {
        let run = try IPhoneRun()
        let answers = try Self.ask(
            run.phone,
            Self.request(.fileInfo, texts: ["/none"]), Self.request(.open, [1], texts: ["/DCIM"]),
            Self.request(.fileInfo, texts: ["/../outside"]),
            Self.request(.removePath, texts: ["/DCIM"]),
            Self.request(.rename, texts: ["/none", "/other"]), Self.request(.read, [99, 1]),
            Self.request(.open, [9], texts: ["/x"]), Self.request(.status))
        #expect(answers.map(\.status) == [8, 9, 10, 33, 8, 7, 7, 24])
    }

    @Test func linksAreDescribedAndNotFollowedOut() throws {
        let run = try IPhoneRun()
        let answers = try Self.ask(
            run.phone, Self.request(.makeLink, [2], texts: ["/etc/passwd", "/link"]),
            Self.request(.fileInfo, texts: ["/link"]), Self.request(.open, [1], texts: ["/link"]),
            Self.request(.removeTree, texts: ["/link"]))
        #expect(answers[0].status == 0)
        #expect(answers[1].texts.suffix(2) == ["LinkTarget", "/etc/passwd"])
        #expect(answers[2].status == 10)
        #expect(answers[3].status == 0)
    }

    @Test func aLockIsHeldByOneHostAtATime() throws {
        let run = try IPhoneRun()
        let open = Self.request(.open, [2], texts: ["/com.apple.itunes.lock_sync"])
        let answers = try Self.ask(
            run.phone, open, open, Self.request(.lock, [1, 6]), Self.request(.lock, [2, 6]),
            Self.request(.lock, [1, 12]), Self.request(.lock, [2, 6]))
        #expect(answers.map(\.status) == [nil, nil, 0, 19, 0, 0])
        run.phone.perform(.afcFault(.busyLock, count: 1))
        let busy = try Self.ask(
            run.phone, open, Self.request(.lock, [1, 6]), Self.request(.lock, [1, 6]))
        #expect(busy.map(\.status) == [nil, 19, 0])
    }

    @Test func theDeviceTellsItsSpace() throws {
        let run = try IPhoneRun(.with { $0.free = 123_456_789 })
        let texts = try #require(try Self.ask(run.phone, Self.request(.deviceInfo)).first).texts
        #expect(texts.count == 8)
        #expect(texts[texts.firstIndex(of: "FSFreeBytes").map { $0 + 1 } ?? 0] == "123456789")
    }

    @Test func faultsAreWhatTheySay() throws {
        let run = try IPhoneRun()
        let list = Self.request(.readDirectory, texts: ["/"])
        let phone = run.phone
        func header(_ fault: AFCFault) throws -> [UInt8] {
            phone.perform(.afcFault(fault, count: 1))
            let host = ScriptedHost(list)
            #expect(throws: StreamEnd.self) { try AFCService().serve(host, phone: phone) }
            return host.fromPhone
        }
        let huge = try #require(AFCHeader(Array(try header(.huge).prefix(40))))
        #expect(huge.entireLength == 4_294_967_336)
        let long = try header(.longLength)
        #expect(try #require(AFCHeader(Array(long.prefix(40)))).entireLength > UInt64(long.count))
        #expect(AFCHeader(Array(try header(.shortLength).prefix(40))) == nil)
        #expect(AFCHeader(Array(try header(.badMagic).prefix(40))) == nil)
        #expect(try #require(AFCHeader(Array(try header(.badNumber).prefix(40)))).number == 8)
        let names = try header(.names).split(separator: 0, omittingEmptySubsequences: false)
        #expect(names.contains { $0.count == 10_000 })
        #expect(names.contains(Array("../../outside".utf8)[...]))
        // Used up: the next answer is right.
        #expect(try Self.ask(run.phone, list)[0].texts.contains("DCIM"))
        run.phone.perform(.afcFault(.endlessTree, count: .max))
        let deep = try Self.ask(
            run.phone, Self.request(.readDirectory, texts: ["/DCIM/again/again/again"]))
        #expect(deep[0].texts.contains("again") && deep[0].texts.contains("100APPLE"))
    }

    @Test(arguments: [0, 39, 1 << 40] as [UInt64])
    func aPacketThatIsNoneEndsTheConnection(length: UInt64) throws {
        let run = try IPhoneRun()
        let header = AFCHeader(
            entireLength: length, thisLength: length, number: 1, operation: .fileInfo)
        let host = ScriptedHost(header.bytes)
        #expect(throws: StreamEnd.self) { try AFCService().serve(host, phone: run.phone) }
        #expect(host.fromPhone.isEmpty)
    }
}
