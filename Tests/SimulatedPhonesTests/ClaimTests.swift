import Foundation
import SimulatedPhones
import Testing

/// A host of our own that speaks USB/IP as the replacement library does.
private struct RawHost {
    let handle: FileHandle

    init(_ path: String) throws {
        // socat-free: the socket comes from Foundation's file handle over a plain descriptor.
        let descriptor = try RawSocket.connect(path)
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    func exchange(_ bytes: [UInt8], reply count: Int) throws -> [UInt8] {
        try handle.write(contentsOf: Data(bytes))
        var reply: [UInt8] = []
        while reply.count < count, let more = try handle.read(upToCount: count - reply.count),
            !more.isEmpty
        {
            reply += more
        }
        return reply
    }

    static func claim(_ busID: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.putBig(USBIP.version)
        writer.putBig(USBIP.Operation.claim.rawValue)
        writer.putBig(UInt32(0))
        writer.put(raw: Array(busID.utf8) + [UInt8](repeating: 0, count: 32 - busID.utf8.count))
        writer.putBig(UInt32(0))
        return writer.bytes
    }
}

struct ClaimTests {
    @Test
    func secondClientIsBusyUntilTheFirstDies() throws {
        let run = try PhoneRun(content: { FolderContent(path: $0) })
        let path = run.phone.places.usbSocket
        let first = try RawHost(path)
        #expect(try first.exchange(RawHost.claim("1-1"), reply: 8).last == 0)
        let second = try RawHost(path)
        #expect(try second.exchange(RawHost.claim("1-1"), reply: 8).last == 1)
        // Closing is what a killed process does; no release is sent.
        try first.handle.close()
        let third = try RawHost(path)
        #expect(try third.exchange(RawHost.claim("1-1"), reply: 8).last == 0)
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-detect")))
    func programsAreToldThatThePhoneIsBusy() throws {
        let run = try PhoneRun(content: { FolderContent(path: $0) })
        let holder = try RawHost(run.phone.places.usbSocket)
        #expect(try holder.exchange(RawHost.claim("1-1"), reply: 8).last == 0)
        #expect(try run.run("mtp-detect").output.contains("device is busy"))
        try holder.handle.close()
        #expect(try run.run("mtp-detect").output.contains("Model: Pixel 7"))
    }

    @Test
    func controlSocketAnswersInJSON() throws {
        let run = try PhoneRun(content: { FolderContent(path: $0) })
        let place = run.folder + "/run"
        #expect(try PhoneControl.send(["lock"], to: place) == #"{"ok":true}"#)
        let status = try JSONDecoder().decode(
            PhoneStatus.self, from: Data(try PhoneControl.send(["status"], to: place).utf8))
        #expect(!status.unlocked)
        #expect(try PhoneControl.send(["fly"], to: place).contains("unknown"))
    }
}
