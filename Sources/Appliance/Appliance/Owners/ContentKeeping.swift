import BackupCore
import Drives
import Logging
import ResticFormat
import ResticRepository

extension Box {
    /// What catching up asks when drives still hold files that tombstones name.
    static func keeper(_ key: MasterKey) -> ContentKeeper {
        let rescue = Rescue(masterKey: key)
        return ContentKeeper(
            rescue: { copies, gone async throws(BackendError) in
                let mirror = MirroredBackend(copies)
                do throws(RepositoryError) {
                    let superseded = try await rescue.run(on: mirror, without: gone)
                    return ContentKeeper.Rescued(superseded: superseded, behind: mirror.behind)
                } catch {
                    throw error.backend ?? BackendError(.damaged, error.detail)
                }
            },
            losesNothing: { copy, gone async throws(BackendError) in
                try await rescue.losesNothing(on: copy, without: gone)
            })
    }
}

/// Removes what a catch-up left on drives: files that were removed elsewhere while they were away.
struct LeftOvers: Sendable {
    let box: Box
    let opening: OpeningCopy
    let keeper: ContentKeeper

    /// What became of the drives: their locks as they are now, those that are not usable any
    /// more, and what still could not go.
    struct Result {
        var locks: [DriveID: RepositoryLock]
        var behind: [DriveID: BackendError] = [:]
        var stayed: Set<FileName> = []
    }

    /// Removes `leftOver` from `copies`, each under an exclusive lock, which the run's own shared
    /// one gives way to for that time. A drive that somebody else reads keeps its files for now.
    func remove(
        _ leftOver: [DriveID: Set<FileName>], from copies: [DriveBackend],
        locks: [DriveID: RepositoryLock]
    ) async -> Result {
        var result = Result(locks: locks)
        for copy in copies {
            let drive = copy.drive.id
            guard let files = leftOver[drive], !files.isEmpty else { continue }
            do throws(BackendError) {
                // With a single drive, nothing is ever removed.
                guard copies.count > 1 else {
                    result.stayed.formUnion(files)
                    continue
                }
                if try await !remove(files, from: copy, &result.locks) {
                    result.stayed.formUnion(files)
                }
            } catch {
                result.behind[drive] = error
                result.stayed.formUnion(files)
            }
        }
        return result
    }

    private func remove(
        _ files: Set<FileName>, from copy: DriveBackend,
        _ locks: inout [DriveID: RepositoryLock]
    ) async throws(BackendError) -> Bool {
        guard !opening.purpose.isExclusive else { return try await retire(files, copy) }
        await locks.removeValue(forKey: copy.drive.id)?.release()
        var isGone = false
        do throws(BackendError) {
            if let own = try await opening.lock(copy, exclusive: true) {
                let result = await retiring(files, copy)
                await own.release()
                isGone = try result.get()
            }
        } catch let error where error.code == .locked {
            box.log.notice(
                "removed files stay for now: the repository is in use",
                metadata: ["drive": "\(copy.drive.id)"])
        }
        locks[copy.drive.id] = try await opening.lock(copy, exclusive: false)
        return isGone
    }

    /// As ``retire(_:_:)``, so that a lock can be given back before its error goes on.
    private func retiring(
        _ files: Set<FileName>, _ copy: DriveBackend
    ) async -> Swift.Result<Bool, BackendError> {
        do throws(BackendError) { return .success(try await retire(files, copy)) } catch {
            return .failure(error)
        }
    }

    private func retire(
        _ files: Set<FileName>, _ copy: DriveBackend
    ) async throws(BackendError) -> Bool {
        let isGone = try await keeper.retire(files, on: copy, at: box.clock.now())
        box.log.notice(
            isGone ? "removed what was removed elsewhere" : "removed files are still needed",
            metadata: ["drive": "\(copy.drive.id)", "files": "\(files.count)"])
        return isGone
    }
}
