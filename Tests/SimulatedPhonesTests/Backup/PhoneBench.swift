import Dispatch
import Foundation
import Glibc
import SimulatedPhones
import Synchronization

/// A phone's backup agent with a folder for what it and its hosts keep.
final class PhoneBench {
    let folder: String
    let phone: StubPhone
    let agent: BackupAgent

    init(
        files: Int = 60, bytes: UInt64 = 3_000_000, seed: UInt64 = 1, udid: String = "PHONE-A",
        _ change: (inout BackupOptions) -> Void = { _ in }
    ) throws {
        folder = NSTemporaryDirectory() + "bb-" + UUID().uuidString.prefix(8)
        var options = BackupOptions()
        options.data = PhoneDataSpec(fileCount: files, byteCount: bytes, seed: seed)
        options.keyBagCost = KeyBagCost(first: 20, second: 10)
        change(&options)
        phone = StubPhone(udid: udid)
        agent = try BackupAgent(options: options, scratch: folder + "/scratch")
        try FileManager.default.createDirectory(
            atPath: backups, withIntermediateDirectories: true)
    }

    deinit {
        // A folder left behind costs room, never a result.
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Where the host keeps backups.
    var backups: String { folder + "/host" }
    /// The backup of this phone.
    var backup: String { backups + "/" + phone.backupFacts.udid }

    /// One request of a host that keeps its backups in `place`, and the phone's final message.
    @discardableResult
    func ask(
        _ name: String, _ entries: [String: PropertyList] = [:], in place: String? = nil,
        _ change: (PlainHost) -> Void = { _ in }, after: (PlainHost) -> Void = { _ in }
    ) throws -> PropertyList {
        var pair: [Int32] = [0, 0]
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else {
            throw StreamEnd()
        }
        let (agent, phone, end) = (self.agent, self.phone, SocketStream(pair[0]))
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            // What ended the phone's side shows in what the host received.
            try? agent.serve(end, for: phone)
            end.close()
            done.signal()
        }
        defer { done.wait() }
        let host = PlainHost(SocketStream(pair[1]), folder: place ?? backups)
        change(host)
        defer {
            host.stream.close()
            after(host)
        }
        var request = entries
        request["MessageName"] = .string(name)
        request["TargetIdentifier"] = request["TargetIdentifier"] ?? .string(phone.udid)
        return try host.run(.dictionary(request))
    }

    /// A backup; writes the Info.plist that a host writes. Returns ErrorCode.
    @discardableResult
    func backUp(full: Bool = false, _ change: (PlainHost) -> Void = { _ in }) throws -> Int64 {
        try FileManager.default.createDirectory(
            atPath: backup, withIntermediateDirectories: true)
        let info: PropertyList = ["Product Version": .string(phone.backupFacts.productVersion)]
        try Data(info.encodeXML()).write(to: URL(filePath: backup + "/Info.plist"))
        let options: PropertyList = full ? ["ForceFullBackup": true] : [:]
        return try ask("Backup", ["Options": options], change)["ErrorCode"]?.integer ?? -1
    }

    /// Restores the backup of `source` that lies in `place`. Returns ErrorCode.
    func restore(
        _ source: String, from place: String, password: String? = nil,
        options: [String: PropertyList] = [:]
    ) throws -> Int64 {
        var all: [String: PropertyList] = [
            "RestoreSystemFiles": true, "RestorePreserveSettings": false,
            "RemoveItemsNotRestored": true, "RestoreShouldReboot": true,
            "RestoreDontCopyBackup": true,
        ]
        if let password { all["Password"] = .string(password) }
        all.merge(options) { $1 }
        return try ask(
            "Restore", ["SourceIdentifier": .string(source), "Options": .dictionary(all)],
            in: place)["ErrorCode"]?.integer ?? -1
    }

    func digest(plain: Bool = false) throws -> String {
        try agent.perform(.digest(plain: plain)).digest ?? ""
    }

    /// Names of files in the backup besides what the host wrote, with their folders.
    func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: backup).sorted()
    }

    /// What the sqlite3 program answers.
    func sqlite(_ database: String, _ query: String) throws -> String {
        try ProgramResult.run(
            "/usr/bin/sqlite3", ["-readonly", database, query], environment: [:],
            outputIn: folder
        ).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// The phone around a backup agent, as far as the agent sees it.
final class StubPhone: BackupPhone {
    let udid: String
    private let state = Mutex(State())

    struct State {
        var facts: BackupPhoneFacts?
        var entersPasscode = true
        var prompts = 0
        var brokenStage: String?
        var willEncrypt: [Bool] = []
        var forgotHosts = 0
    }

    init(udid: String) {
        self.udid = udid
        let facts = BackupPhoneFacts(
            udid: udid, productVersion: "17.6.1", buildVersion: "21G93", productType: "iPhone14,5",
            deviceName: "Phone", serialNumber: "SIM1")
        state.withLock { $0.facts = facts }
    }

    /// Changes what the phone is.
    func change(_ body: (inout BackupPhoneFacts) -> Void) {
        state.withLock { state in
            if var facts = state.facts {
                body(&facts)
                state.facts = facts
            }
        }
    }

    func set(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    var seen: State { state.withLock { $0 } }

    var backupFacts: BackupPhoneFacts {
        state.withLock { $0.facts }
            ?? BackupPhoneFacts(
                udid: udid, productVersion: "", buildVersion: "", productType: "", deviceName: "",
                serialNumber: "")
    }

    func askForPasscode(while isWanted: @escaping @Sendable () -> Bool) -> Bool {
        guard backupFacts.hasPasscode else { return true }
        return state.withLock { state in
            state.prompts += 1
            return state.entersPasscode
        }
    }

    func backupDomainChanged(willEncrypt: Bool) {
        state.withLock { $0.willEncrypt.append(willEncrypt) }
    }

    func reach(_ stage: String) throws {
        if state.withLock({ $0.brokenStage }) == stage { throw StreamEnd() }
    }

    func restartAfterRestore() {
        state.withLock { $0.forgotHosts += 1 }
        change { $0.restartCount += 1 }
    }
}

/// A socket as the stream of a service.
final class SocketStream: ServiceStream {
    private let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { Glibc.close(descriptor) }

    func read(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let result = unsafe bytes.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress?.advanced(by: got), count - got, 0)
            }
            guard result > 0 else { throw StreamEnd() }
            got += result
        }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let result = unsafe bytes.withUnsafeBytes {
                unsafe send(
                    descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard result > 0 else { throw StreamEnd() }
            sent += result
        }
    }

    func canRead(within duration: Duration) -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe Glibc.poll(&poll, 1, Int32(duration / .milliseconds(1))) > 0
    }

    func close() {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
    }
}
