package import BackupCore
package import Drives
package import ResticFormat
package import ResticRepository

/// Carries a prune out on several drives that hold the same repository.
///
/// Nothing goes before everything new is durable and read back on every drive, and every kept
/// snapshot was walked there as it will be. Then tombstones on all drives, and only then the files
/// go, from one drive after the other: at every instant one drive has a complete set.
package struct PruneExecution: Sendable {
    private let copies: [DriveBackend]
    private let key: MasterKey
    package var options = PruneOptions()
    /// Files that are on their way out already; they are not looked at.
    package var gone: Set<FileName>
    private let clock: any RunClock
    /// Whether our lock still lies on a drive and others respect it.
    private let isTrusted: @Sendable (DriveID) async -> Bool
    private let events: RunEventSink

    /// A prune of the repository of `masterKey` on `copies`, which were caught up; `isTrusted` is
    /// asked before anything goes from a drive.
    package init(
        copies: [DriveBackend], key: MasterKey, gone: Set<FileName> = [], clock: any RunClock,
        isTrusted: @escaping @Sendable (DriveID) async -> Bool, events: @escaping RunEventSink
    ) {
        self.copies = copies
        self.key = key
        self.gone = gone
        self.clock = clock
        self.isTrusted = isTrusted
        self.events = events
    }

    private func rest(of backend: any RepositoryBackend) -> RemainingFiles {
        RemainingFiles(backend, without: gone)
    }

    private func pruning(on mirror: MirroredBackend) -> Pruning {
        Pruning(backend: rest(of: mirror), masterKey: key, options: options)
    }

    /// The plan; see ``Pruning/plan()``.
    package func plan() async throws(RepositoryError) -> PrunePlan {
        try await pruning(on: MirroredBackend(copies)).plan()
    }

    // MARK: Before

    /// Looks at every drive; with `readsAll` every byte is read. Throws what tells best what is
    /// wrong: damage on one drive can be healed from another.
    package func verify(readsAll: Bool) async throws {
        var damage: [DriveID: Set<FileName?>] = [:]
        for copy in copies {
            events(.progress(RunProgress(phase: .checking)))
            let events = events
            let report = try await StructureCheck(
                backend: rest(of: copy), masterKey: key, readData: readsAll,
                progress: { done, total in
                    events(
                        .progress(
                            RunProgress(phase: .checking, bytesDone: done, bytesTotal: total)))
                }
            ).run()
            try Task.checkCancellation()
            damage[copy.drive.id] = try await Self.damage(report, copies)
        }
        let bad = damage.filter { !$0.value.isEmpty }
        guard let first = bad.keys.min() else { return }
        let everywhere = copies.allSatisfy { copy in
            !(damage[copy.drive.id] ?? []).isDisjoint(with: bad[first] ?? [])
        }
        if everywhere {
            throw RepositoryError(
                .damaged, "what is kept is damaged on every drive; nothing was pruned")
        }
        throw BackendError(
            .damaged, "what is kept is not whole on it; nothing was pruned", drive: first)
    }

    /// The files that a check found bad, nil standing for lost blobs. A pack that is on no drive
    /// and holds nothing that is needed is no damage: its index is about to be replaced.
    private static func damage(
        _ report: StructureReport, _ copies: [DriveBackend]
    ) async throws(BackendError) -> Set<FileName?> {
        var found: Set<FileName?> = []
        for finding in report.findings {
            switch finding {
            case .damaged(let file, _): found.insert(file)
            case .missing(let file):
                for copy in copies
                where try await copy.list(file.kind).contains(where: {
                    $0.name == file
                }) {
                    found.insert(file)
                }
            case .lostBlob: found.insert(nil)
            case .note: break
            }
        }
        return found
    }

    // MARK: Writing and removing

    /// Carries `plan` out. An error on a drive stops everything; whatever was done by then
    /// leaves repositories that are whole, and the next prune or catch-up goes on. Gives the new
    /// files, each of them read back from every drive.
    @discardableResult
    package func run(_ plan: PrunePlan) async throws -> [FileName] {
        let mirror = MirroredBackend(copies)
        let pruning = pruning(on: mirror)
        let events = events
        let written = try await pruning.write(plan) { done, total in
            events(.progress(RunProgress(phase: .saving, bytesDone: done, bytesTotal: total)))
        }
        // A drive that fell behind has not what the others have: nothing goes anywhere.
        if !mirror.behind.isEmpty { throw DriveRoster.worst(mirror.behind) }
        for copy in copies {
            try await prove(written, of: plan, on: copy)
            try await pruning.proveSurvivors(of: plan, on: copy)
        }
        let now = clock.now()
        for copy in copies {
            try await requireLock(copy)
            try await copy.bury(plan.retired, at: now)
        }
        for copy in copies { try await retire(plan.retired, from: copy, at: now) }
        return written
    }

    /// Removes files from a drive. One that lost more than it was to lose must not be followed by
    /// the next.
    private func retire(
        _ files: [FileName], from copy: DriveBackend, at time: Timestamp
    ) async throws(BackendError) {
        try await requireLock(copy)
        let expected = try await Self.files(of: copy).subtracting(files)
        try await copy.retire(files, at: time)
        guard try await Self.files(of: copy) == expected else {
            throw BackendError(
                .damaged, "it is not as it should be; the other drives were left as they are",
                drive: copy.drive.id)
        }
    }

    private static func files(of copy: DriveBackend) async throws(BackendError) -> Set<FileName> {
        var files: Set<FileName> = []
        for kind in DriveBackend.retiredKinds {
            files.formUnion(try await copy.list(kind).map(\.name))
        }
        return files
    }

    /// Reads the new files back from the medium, and walks every kept snapshot as it will be
    /// without what goes.
    private func prove(
        _ written: [FileName], of plan: PrunePlan, on copy: DriveBackend
    ) async throws {
        let drive = copy.drive.id
        for file in written {
            try Task.checkCancellation()
            guard try await copy.isGood(file) else {
                throw BackendError(
                    .io, "\(file.relativePath) was written and cannot be read back", drive: drive)
            }
        }
        events(.progress(RunProgress(phase: .checking)))
        let after = RemainingFiles(copy, without: gone.union(plan.retired))
        let report = try await StructureCheck(backend: after, masterKey: key).run()
        try Task.checkCancellation()
        guard report.isSound, report.snapshotCount == plan.snapshotCount else {
            throw BackendError(
                .damaged, "not all that is kept would be whole on it; nothing was removed",
                drive: drive)
        }
    }

    /// Others may have begun to build on what is about to go as soon as our lock is away.
    private func requireLock(_ copy: DriveBackend) async throws(BackendError) {
        guard await isTrusted(copy.drive.id) else {
            throw BackendError(
                .locked, "its lock was taken away or could not be kept fresh",
                drive: copy.drive.id)
        }
    }
}
