import BackupCore
import BlockingThread
import Drives
import Logging
import ResticFormat
import ResticRepository

extension Box {
    /// The master key from the key files in the state folder; nil when none opens with the
    /// password there.
    func masterKeyFromState(_ owner: OwnerID) async throws(ApplianceError) -> MasterKey? {
        let secrets = try store.secrets(of: owner)
        guard let seed = try store.seed(of: owner) else { return nil }
        let files = seed.keys.map(\.bytes)
        // scrypt takes a second on a small board; that is too long for a shared thread.
        return await DedicatedThread(name: "unlock").run {
            for file in files {
                // A key file that cannot be read does not open; another one may.
                if let key = try? KeyFile.open(file, password: secrets.password) { return key }
            }
            return nil
        }
    }

    /// The master key of an owner: from the state folder, else from the drives.
    func masterKey(
        of owner: OwnerID, on drives: [Drive]
    ) async throws -> MasterKey {
        if let key = try await masterKeyFromState(owner) { return key }
        let password = try store.secrets(of: owner).password
        let mirror = MirroredBackend(drives.map { $0.repository(owner) })
        let key = try await ResticSnapshotRepository.unlock(backend: mirror, password: password)
        try await rebuildSeed(of: owner, from: mirror)
        return key
    }

    /// Copies an owner's config and keys from the drives to the state folder.
    func rebuildSeed(
        of owner: OwnerID, from backend: any RepositoryBackend
    ) async throws {
        var keys: [(id: ContentID, bytes: [UInt8])] = []
        for file in try await backend.list(.key) {
            for copy in 0..<backend.copyCount {
                // A copy that is absent or damaged is passed over: one good one is enough.
                guard let bytes = try? await backend.read(file.name, range: nil, copy: copy),
                    ContentID.sha256(of: bytes) == file.name.id
                else { continue }
                keys.append((file.name.id, bytes))
                break
            }
        }
        guard let config = await anyConfig(backend), !keys.isEmpty else { return }
        try store.remember(RepositorySeed(config: config, keys: keys), of: owner)
    }

    private func anyConfig(_ backend: any RepositoryBackend) async -> [UInt8]? {
        for copy in 0..<backend.copyCount {
            // As above; whether the config opens was proved when the key was.
            if let bytes = try? await backend.read(.config, range: nil, copy: copy),
                !bytes.isEmpty
            {
                return bytes
            }
        }
        return nil
    }

    /// Makes a new owner: secrets and first files durable in the state folder. The password comes
    /// last, so that an owner exists only when everything else of it does.
    func makeOwner() async throws(ApplianceError) -> OwnerRecord {
        guard let secrets = OwnerSecrets.random(), let words = secrets.words else {
            throw ApplianceError(
                .key, "No random key could be made.",
                whatToDo: "This is our bug; please report it.")
        }
        let owner = OwnerRecord(
            id: OwnerID(trusted: "owner-" + RandomText.hex(4)), created: clock.now())
        let (hostname, created) = (configuration.hostname, owner.created)
        let repository = await DedicatedThread(name: "new-keys").run {
            NewRepository.make(
                passwords: [secrets.password, words.canonical], hostname: hostname,
                created: created)
        }
        try store.remember(owner)
        try store.remember(
            RepositorySeed(config: repository.config, keys: repository.keys), of: owner.id)
        try store.remember(secrets, of: owner.id)
        log.notice("owner made", metadata: ["owner": "\(owner.id)"])
        return owner
    }
}
