package import BackupCore
import ResticFormat

/// What is to become of a phone's backup password.
package enum PasswordChange: Sendable {
    /// Encrypt from now on.
    case set(String)
    /// Another password, the kept one being in force.
    case change(String)
    /// Encrypt no more.
    case off
}

extension Box {
    /// A password that nobody has to think of: 100 random bits, in groups that can be typed.
    package static func randomBackupPassword() -> String {
        let letters = Array("abcdefghjkmnpqrstuvwxyz23456789".utf8)
        let groups = (0..<5).map { _ in
            // 31 letters: the bytes beyond a multiple of it would favour the first ones.
            var group: [UInt8] = []
            while group.count < 4 {
                for byte in secureRandomBytes(8) where byte < 248 && group.count < 4 {
                    group.append(letters[Int(byte) % letters.count])
                }
            }
            return String(decoding: group, as: UTF8.self)
        }
        return groups.joined(separator: "-")
    }

    /// Has a phone that is plugged in change its backup password. A new one is kept before the
    /// phone is asked, so that no power cut can lose it.
    package func changeBackupPassword(
        _ change: PasswordChange, of phone: PhoneID, wait: Int?,
        events: @escaping RunEventSink
    ) async throws {
        let owner = try knownOwner(of: phone)
        let known = try store.backupPasswords(of: phone, owner)
        let job: PushedJob
        switch change {
        case .set(let new): job = .changePassword(from: nil, to: new)
        case .change(let new): job = .changePassword(from: try required(known), to: new)
        case .off: job = .changePassword(from: try required(known), to: nil)
        }
        if case .changePassword(_, let new?) = job {
            try store.remember(backupPassword: new, isInForce: false, of: phone, owner)
        }
        try await perform(job, on: phone, wait: wait, over: NoTree(), events: events)
        if case .changePassword(_, let new?) = job {
            try store.remember(backupPassword: new, isInForce: true, of: phone, owner)
        }
    }

    private func required(_ known: [String]) throws(ApplianceError) -> String {
        if let password = known.first { return password }
        throw ApplianceError(
            .key, "The password that this phone's backups have now is not kept here.",
            whatToDo: "Tell it with holdfast key phone --known; " + BackupEncryption.forgotten)
    }

    /// Waits for a phone, opens it and lets it do a job.
    func perform(
        _ job: PushedJob, on phone: PhoneID, wait: Int?, over builder: any SnapshotBuilder,
        events: @escaping RunEventSink
    ) async throws {
        let wait = Duration.seconds(wait ?? configuration.waitSeconds)
        var phones = PhoneWait(self, for: .phone(phone), wait: wait, events: events)
        guard let opened = try await phones.next() else { return }
        do {
            guard case .pushed(let capture)? = opened.session.source(of: .backup) else {
                throw DeviceError(.unsuitable, "This phone makes no backups of its own")
            }
            do throws(SaveError) {
                _ = try await capture.perform(job, over: builder, events: events)
            } catch .source(let error) {
                throw error
            } catch .repository(let error) {
                throw error
            }
        } catch {
            await opened.close()
            throw error
        }
        await opened.close()
    }
}

/// The tree of a job that needs none: everything in it is refused.
struct NoTree: SnapshotBuilder {
    private static let nothing = RepositoryError(.notFound, "there is nothing here")

    func list(_ path: EntryPath) async throws(RepositoryError) -> [TreeNode] {
        throw Self.nothing
    }
    func stat(_ path: EntryPath) async throws(RepositoryError) -> TreeNode? { nil }
    func read(
        _ path: EntryPath
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> { throw Self.nothing }
    func makeDirectory(
        _ path: EntryPath, modified: Timestamp?
    ) async throws(RepositoryError) { throw Self.nothing }
    func keep(_ node: TreeNode, at path: EntryPath) async throws(RepositoryError) {
        throw Self.nothing
    }
    func put(
        _ source: ByteSource<DeviceError>, at path: EntryPath, modified: Timestamp
    ) async throws(SaveError) -> SavedContent {
        await source.close()
        throw .repository(Self.nothing)
    }
    func copy(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {
        throw Self.nothing
    }
    func move(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {
        throw Self.nothing
    }
    func remove(_ path: EntryPath) async throws(RepositoryError) {}
    func freeBytes() async -> UInt64 { 0 }
    func finish() async throws(RepositoryError) -> ContentID { throw Self.nothing }
}
