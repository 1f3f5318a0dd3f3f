import BackupCore
import BackupEngine
import BlockingThread
import Drives
import Logging
import ResticFormat
import ResticRepository

/// Takes over drives that another box, or a lost state folder, enrolled: each owner's words open
/// the repository, and keys and phones are rebuilt from what is there. Nothing on the drives is
/// rewritten.
struct Adoption: Sendable {
    let box: Box
    let drives: [Drive]
    let words: any WordSource

    /// Adopts every owner on the drives whose keys this box does not have.
    func run() async throws -> [OwnerID] {
        try await box.learnErasures(from: drives)
        var adopted: [OwnerID] = []
        for (owner, copies) in try await owners() where await !isKnown(owner) {
            try await adopt(owner, copies)
            adopted.append(owner)
        }
        return adopted
    }

    /// Whether this box opens the owner's repository. Secrets that are gone or do not open it are
    /// asked for again.
    private func isKnown(_ owner: OwnerID) async -> Bool {
        (try? await box.masterKey(of: owner, on: drives)) != nil
    }

    private func owners() async throws -> [(OwnerID, [DriveBackend])] {
        var found: [OwnerID: [DriveBackend]] = [:]
        for drive in drives {
            for owner in try await drive.owners() where !box.store.isErased(owner) {
                found[owner, default: []].append(drive.repository(owner))
            }
        }
        return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private func adopt(_ owner: OwnerID, _ copies: [DriveBackend]) async throws {
        let mirror = MirroredBackend(copies)
        // A drive that was away during a rotation still has what the old words open.
        let retired = await DriveBackend.retiredKeys(on: copies)
        let (secrets, key) = try await ask(owner) { password in
            do throws(RepositoryError) {
                return try await ResticSnapshotRepository.unlock(
                    backend: mirror, password: password, except: retired)
            } catch  where error.code == .wrongPassword {
                return nil
            }
        }
        // Who typed the words has the sheet, and it is right.
        try box.store.remember(
            OwnerRecord(
                id: owner, created: box.clock.now(),
                sheetShown: secrets.words == nil ? nil : box.clock.now(),
                sheetProved: secrets.words == nil ? nil : box.clock.now()))
        try await box.rebuildSeed(of: owner, from: mirror)
        try await remember(retired, of: owner, copies, opened: secrets)
        try await rebuildPhones(of: owner, mirror, key)
        try box.store.remember(secrets, of: owner)
        box.log.notice("owner adopted", metadata: ["owner": "\(owner)"])
    }

    /// Goes on with a rotation that the box before did not finish on every drive.
    private func remember(
        _ retired: Set<ContentID>, of owner: OwnerID, _ copies: [DriveBackend],
        opened secrets: OwnerSecrets
    ) async throws {
        guard !retired.isEmpty else { return }
        let facts = try await box.keyFacts(
            of: owner, on: copies, openedBy: secrets.passwords)
        let kept = facts.filter { $0.origin == .current && !retired.contains($0.id) }
        // Nothing goes while it is not known what must stay.
        guard !kept.isEmpty else { return }
        try box.store.remember(
            RetiredKeys(retired: retired, kept: Set(kept.map(\.id)), done: []), of: owner)
    }

    /// Asks for an owner's words until they open something.
    private func ask<Opened: Sendable>(
        _ owner: OwnerID, open: (String) async throws -> Opened?
    ) async throws -> (OwnerSecrets, Opened) {
        var problem: String?
        while let typed = await words.words(for: owner, problem: problem) {
            let secrets: OwnerSecrets
            do throws(SheetWords.Problem) {
                let read = try SheetWords(reading: typed)
                secrets = OwnerSecrets(password: read.canonical, words: read)
            } catch {
                // A box that still knows the password itself may give that instead.
                guard let password = Self.password(typed) else {
                    problem = error.sentence
                    continue
                }
                secrets = OwnerSecrets(password: password, words: nil)
            }
            if let opened = try await open(secrets.password) { return (secrets, opened) }
            problem = "These words do not open the backups of \(owner)."
        }
        throw ApplianceError(
            .key, problem ?? "The words of owner \(owner) were not given.",
            whatToDo: "Take the recovery sheet of \(owner) and run setup again.")
    }

    /// A restic password as `key password` prints it: 64 hexadecimal digits.
    private static func password(_ typed: String) -> String? {
        let digits = String(typed.filter { !$0.isWhitespace })
        return ContentID(hex: digits) == nil ? nil : digits
    }

    private func rebuildPhones(
        of owner: OwnerID, _ mirror: MirroredBackend, _ key: MasterKey
    ) async throws {
        let repository = try await ResticSnapshotRepository.open(
            backend: mirror, masterKey: key,
            options: RepositoryOptions(.reading, clock: box.clock))
        var newest: [PhoneID: Snapshot] = [:]
        for snapshot in try await repository.snapshots() {
            if let phone = snapshot.phone { newest[phone] = snapshot }
        }
        for (phone, snapshot) in newest {
            // A snapshot without notes still tells whose phone it is; the name comes with the
            // phone's next visit.
            let notes = try? await SnapshotNotes.of(tree: snapshot.tree, in: repository)
            try box.store.remember(
                PhoneRecord(
                    id: phone, owner: owner,
                    family: notes.flatMap { PhoneFamily(rawValue: $0.family) } ?? .android,
                    name: notes?.name ?? phone.rawValue, model: notes?.model ?? "",
                    osVersion: notes?.osVersion ?? "", lastSeen: snapshot.time))
        }
    }
}
