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
        let key = try await masterKey(of: owner, on: copies.map(\.drive))
        let repository = try await ResticSnapshotRepository.open(
            backend: MirroredBackend(copies), masterKey: key,
            options: RepositoryOptions(.reading, clock: clock))
        return OwnerReading(owner: owner, repository: repository, copies: copies)
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
