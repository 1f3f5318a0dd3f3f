import BackupCore
import BlockingThread
import Drives
import Logging
import ResticFormat
import ResticRepository

/// An owner's master key and how it was come by.
struct OpenedKey: Sendable {
    let key: MasterKey
    /// Whether only the sheet's words opened it: the password in the state folder is damaged.
    let isByWordsOnly: Bool
}

extension OpenedKey {
    /// What a person should know when the password is damaged; it names the owner.
    static func warning(_ owner: OwnerID) -> String {
        "The password of \(owner) in the state folder is damaged; the recovery words there still "
            + "open the backups. Keep the recovery sheet, and run holdfast setup with the drives "
            + "and its words."
    }
}

extension Box {
    /// The master key from the key files in the state folder; nil when none opens with the
    /// password or the words there.
    func masterKeyFromState(_ owner: OwnerID) async throws(ApplianceError) -> MasterKey? {
        try await openFromState(owner)?.key
    }

    private func openFromState(_ owner: OwnerID) async throws(ApplianceError) -> OpenedKey? {
        let secrets = try store.secrets(of: owner)
        guard let seed = try store.seed(of: owner) else { return nil }
        let files = seed.keys.map(\.bytes)
        let passwords = secrets.passwords
        // scrypt takes a second on a small board; that is too long for a shared thread.
        return await DedicatedThread(name: "unlock").run {
            for password in passwords {
                for file in files {
                    // A key file that cannot be read does not open; another one may.
                    guard let key = try? KeyFile.open(file, password: password) else { continue }
                    return OpenedKey(key: key, isByWordsOnly: password != passwords.first)
                }
            }
            return nil
        }
    }

    /// The master key of an owner: from the state folder, else from the drives. `key` when
    /// neither the password nor the words of the box open anything.
    func masterKey(of owner: OwnerID, on drives: [Drive]) async throws -> OpenedKey {
        if let opened = try await openFromState(owner) { return opened }
        let passwords = try store.secrets(of: owner).passwords
        let mirror = MirroredBackend(drives.map { $0.repository(owner) })
        for password in passwords {
            guard let key = try await unlock(mirror, password) else { continue }
            try await rebuildSeed(of: owner, from: mirror, judge: Self.judge(key))
            return OpenedKey(key: key, isByWordsOnly: password != passwords.first)
        }
        throw ApplianceError(
            .key,
            "Neither the password nor the words of owner \(owner) on this box open the backups.",
            whatToDo: Self.wordsNeeded)
    }

    /// The master key that `password` opens on the drives; nil when it opens none.
    private func unlock(
        _ mirror: MirroredBackend, _ password: String
    ) async throws(RepositoryError) -> MasterKey? {
        do throws(RepositoryError) {
            return try await ResticSnapshotRepository.unlock(backend: mirror, password: password)
        } catch {
            guard error.code == .wrongPassword else { throw error }
            return nil
        }
    }

    /// What helps when an owner's secrets are lost.
    static let wordsNeeded =
        "Run holdfast setup with the drives and the words of the recovery sheet."

    /// Whether bytes are the config of the repository of `key`.
    static func judge(_ key: MasterKey) -> ConfigJudge {
        { bytes in
            // Anything that does not open is not the config; why does not matter here.
            (try? ConfigCodec.open(bytes, sealer: Sealer(key))) != nil
        }
    }

    /// The files an owner's repository begins with, as the state folder has them. A config that
    /// is damaged there is taken from the drives.
    func seed(
        of owner: OwnerID, key: MasterKey, on drives: [Drive]
    ) async throws -> RepositorySeed? {
        let judge = Self.judge(key)
        let mirror = MirroredBackend(drives.map { $0.repository(owner) })
        guard let seed = try store.seed(of: owner) else {
            // A drive that cannot be listed now is told by the run itself.
            try? await rebuildSeed(of: owner, from: mirror, judge: judge)
            return try store.seed(of: owner)
        }
        if judge(seed.config) { return seed }
        guard let config = await anyConfig(mirror, judge) else { return seed }
        let repaired = RepositorySeed(config: config, keys: seed.keys)
        try store.remember(repaired, of: owner)
        return repaired
    }

    /// Copies an owner's config and keys from the drives to the state folder, without key files
    /// that were retired; `judge` tells a good config from a damaged one.
    func rebuildSeed(
        of owner: OwnerID, from backend: MirroredBackend,
        judge: @escaping ConfigJudge = { !$0.isEmpty }
    ) async throws {
        var keys: [(id: ContentID, bytes: [UInt8])] = []
        let retired = try store.retiredKeys(of: owner).retired
            .union(await DriveBackend.retiredKeys(on: backend.copies))
        for file in try await backend.list(.key) where !retired.contains(file.name.id) {
            for copy in 0..<backend.copyCount {
                // A copy that is absent or damaged is passed over: one good one is enough.
                guard let bytes = try? await backend.read(file.name, range: nil, copy: copy),
                    ContentID.sha256(of: bytes) == file.name.id
                else { continue }
                keys.append((file.name.id, bytes))
                break
            }
        }
        guard let config = await anyConfig(backend, judge), !keys.isEmpty else { return }
        try store.remember(RepositorySeed(config: config, keys: keys), of: owner)
    }

    private func anyConfig(
        _ backend: any RepositoryBackend, _ judge: ConfigJudge
    ) async -> [UInt8]? {
        for copy in 0..<backend.copyCount {
            // As above: one good one is enough.
            if let bytes = try? await backend.read(.config, range: nil, copy: copy), judge(bytes) {
                return bytes
            }
        }
        return nil
    }

    /// Random bytes of the wrong number.
    static let noRandomKey = ApplianceError(
        .key, "No random key could be made.", whatToDo: "This is our bug; please report it.")

    /// Makes a new owner: secrets and first files durable in the state folder. The password comes
    /// last, so that an owner exists only when everything else of it does.
    func makeOwner() async throws(ApplianceError) -> OwnerRecord {
        guard let secrets = OwnerSecrets.random(), let words = secrets.words else {
            throw Self.noRandomKey
        }
        let owner = OwnerRecord(
            id: OwnerID(trusted: "owner-" + RandomText.hex(4)), created: clock.now())
        let (hostname, created, cost) = (configuration.hostname, owner.created, keyCost)
        let repository = await DedicatedThread(name: "new-keys").run {
            NewRepository.make(
                passwords: [secrets.password, words.canonical], hostname: hostname,
                created: created, cost: cost)
        }
        try store.remember(owner)
        try store.remember(
            RepositorySeed(config: repository.config, keys: repository.keys), of: owner.id)
        try store.remember(secrets, of: owner.id)
        log.notice("owner made", metadata: ["owner": "\(owner.id)"])
        return owner
    }
}
