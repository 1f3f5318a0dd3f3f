import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// One owner's repository opened for reading, from whichever drives are there, without locks:
/// readers never disturb a run, and a run only adds.
struct OwnerReading: Sendable {
    let owner: OwnerID
    let repository: ResticSnapshotRepository
    let copies: [DriveBackend]
    /// Whether only the sheet's words opened it: the password in the state folder is damaged.
    let isByWordsOnly: Bool
}

extension Box {
    /// Opens an owner's repository for reading; nil when no drive that is there has it.
    func read(_ owner: OwnerID, on roster: DriveRoster) async throws -> OwnerReading? {
        var copies: [DriveBackend] = []
        for drive in try roster.required() {
            let copy = drive.repository(owner)
            // A drive that fails here is as good as absent for a question.
            if (try? await copy.isInitialised()) == true { copies.append(copy) }
        }
        guard !copies.isEmpty else { return nil }
        let opened = try await masterKey(of: owner, on: copies.map(\.drive))
        let repository = try await ResticSnapshotRepository.open(
            backend: MirroredBackend(copies), masterKey: opened.key,
            options: RepositoryOptions(.reading, clock: clock))
        return OwnerReading(
            owner: owner, repository: repository, copies: copies,
            isByWordsOnly: opened.isByWordsOnly)
    }

    /// Owners that have a repository on a drive that is there and whose secrets this box does not
    /// have: they can be neither backed up, nor read, nor checked.
    func unknownOwners(on roster: DriveRoster) async throws -> [OwnerID] {
        let known = Set(try store.owners().map(\.id))
        var found: Set<OwnerID> = []
        for drive in roster.present {
            // A drive that cannot be listed now tells nothing; the run itself says why.
            found.formUnion((try? await drive.owners()) ?? [])
        }
        return found.subtracting(known).filter { !store.isErased($0) }.sorted()
    }

    /// What a person should know of an owner on the drives that the box does not know.
    static func unknownOwner(_ owner: OwnerID) -> String {
        "The drives hold backups of \(owner), whose keys are not on this box. \(wordsNeeded)"
    }

    /// Throws `key` while backups of `owner`, whose secrets the box lost, may lie on a drive: the
    /// phone's backups must never silently begin anew.
    func refuseLost(_ owner: OwnerID, on roster: DriveRoster) async throws {
        // An erased owner is not lost: the phone begins anew, as was asked for.
        guard !store.isErased(owner) else { return }
        let isOnDrive = try await unknownOwners(on: roster).contains(owner)
        let isInState = StateFiles.isFolder(store.folder(of: owner))
        // Nothing of it is left anywhere, and no drive could tell otherwise: it is gone.
        guard isOnDrive || isInState || !roster.problems.isEmpty else { return }
        throw ApplianceError(
            .key,
            "This phone's backups belong to \(owner), whose password is not on this box.",
            whatToDo: Self.wordsNeeded)
    }

    /// The owners of this installation, narrowed to `chosen`; `notFound` when that one is unknown.
    func owners(_ chosen: OwnerID?) throws(ApplianceError) -> [OwnerRecord] {
        let owners = try store.owners()
        guard let chosen else { return owners }
        guard let owner = owners.first(where: { $0.id == chosen }) else {
            throw ApplianceError(
                .notFound, "There is no owner \(chosen).",
                whatToDo: "Run holdfast owners to see whom there is.")
        }
        return [owner]
    }
}
