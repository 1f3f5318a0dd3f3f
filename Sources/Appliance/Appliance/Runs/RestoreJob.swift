package import BackupCore
import BackupEngine
package import ControlAPI
import Drives
import ResticRepository

/// What a restore is told on the command line.
package struct RestoreOptions: Sendable {
    /// `latest`, a snapshot's id or the start of one.
    package var snapshot: String
    package var filter: QueryFilter
    /// Paths as a person gave them: exact, or as `ls` shows them; empty for everything.
    package var paths: [String]
    /// The folder to restore into; made when missing.
    package var folder: String
    package var overwrites: Bool

    /// A restore with every option given.
    package init(
        snapshot: String, filter: QueryFilter, paths: [String], folder: String, overwrites: Bool
    ) {
        self.snapshot = snapshot
        self.filter = filter
        self.paths = paths
        self.folder = folder
        self.overwrites = overwrites
    }
}

extension Box {
    /// Restores into a folder and sums up; what went wrong is in the summary.
    package func restore(
        _ options: RestoreOptions, events: @escaping RunEventSink
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        var owner: OwnerID?
        var summary: RunSummary
        do {
            let found = try await select(options.snapshot, options.filter)
            owner = found.reading.owner
            summary = try await restore(found, options, run: run, events: events)
        } catch {
            summary = RunSummary(failed: error)
        }
        summary.duration = clock.elapsed() - start
        record(
            Catalog.RunFacts(
                id: run, kind: "restore", owner: owner, phone: nil, started: started,
                seconds: summary.duration.roundedSeconds, exitCode: summary.exitCode), summary)
        return summary
    }

    private func restore(
        _ found: FoundSnapshot, _ options: RestoreOptions, run: RunID,
        events: @escaping RunEventSink
    ) async throws -> RunSummary {
        var paths: [EntryPath] = []
        var contentPaths: [EntryPath] = []
        for text in options.paths {
            let exact = EntryPath(text: text)
            if try await isByDomain(exact, in: found) {
                contentPaths.append(exact)
            } else {
                paths.append(try await entry(text, in: found))
            }
        }
        guard paths.isEmpty || contentPaths.isEmpty else {
            throw ApplianceError(
                .usage, "Paths of the snapshot and of what its backup holds were mixed.",
                whatToDo: "Restore them one after the other.")
        }
        try await refuseDrives(options.folder, found)
        let target = try await FolderTarget.open(
            path: options.folder, overwrite: options.overwrites)
        let report: RestoreReport
        if contentPaths.isEmpty {
            report = await RestoreRun(
                RestoreRequest(run: run, tree: found.snapshot.tree, paths: paths),
                repository: found.reading.repository, target: target, clock: clock,
                events: events
            ).run()
        } else {
            report = try await restoreContents(found, contentPaths, to: target)
        }
        try await target.finish()
        let verdict: Verdict =
            switch report.exitCode {
            case .done: .safe
            case .interrupted: .partial
            case .notAllRestored: .unreadable
            default: .failed
            }
        var summary = RunSummary(
            verdict: verdict, outcomes: report.outcomes,
            message: report.messages.joined(separator: " "))
        summary.snapshots = [found.document]
        summary.copies = found.document.copies
        summary.details = Self.details(report, run)
        return summary
    }

    /// A restore must not write among the files of a drive: neither because a person says so nor
    /// because a phone named a folder so that it leads there.
    private func refuseDrives(_ folder: String, _ found: FoundSnapshot) async throws {
        let target = FolderPlace(folder)
        for drive in configuration.drives {
            let own = FolderPlace(drive.path + "/" + Drive.folderName)
            var leadsThere = target.isSame(as: own) || target.isInside(own)
            if !leadsThere, let names = own.names(below: target) {
                let path = EntryPath(names.map { EntryName($0) })
                leadsThere =
                    try await TreeWalk.node(
                        at: path, in: found.snapshot.tree, of: found.reading.repository) != nil
            }
            guard leadsThere else { continue }
            throw ApplianceError(
                .usage,
                "\(HostileText.escaped(folder)) leads into the backups on drive "
                    + "\(HostileText.escaped(drive.name)).",
                whatToDo: "Choose a folder of its own, for instance a new one beside them.")
        }
    }

    private static func details(_ report: RestoreReport, _ run: RunID) -> [JSONValue.Member] {
        let failed = report.failed.prefix(1000).map { entry in
            JSONValue.members([
                "path": .string(entry.path.description), "reason": .string(entry.reason),
            ])
        }
        let restored: JSONValue = .members([
            "files": .integer(Int64(report.files)),
            "directories": .integer(Int64(report.directories)),
            "bytes": .unsigned(report.bytes), "failed": .integer(Int64(report.failedCount)),
        ])
        return [
            .init("run", .string(run.rawValue)), .init("restored", restored),
            .init("not_restored", .array(failed)),
        ]
    }

    /// The entry a person means: the exact path, else the one that `ls` shows that way.
    func entry(_ text: String, in found: FoundSnapshot) async throws -> EntryPath {
        let exact = EntryPath(text: text)
        let repository = found.reading.repository
        if exact == .root { return exact }
        if try await TreeWalk.node(at: exact, in: found.snapshot.tree, of: repository) != nil {
            return exact
        }
        if let shown = try await shownEntry(text, in: found) { return shown }
        throw ApplianceError(
            .notFound,
            "\(HostileText.escaped(text)) is not in snapshot \(found.snapshot.id.short).",
            whatToDo: "Run holdfast ls \(found.snapshot.id.short) to see what is in it.")
    }

    /// Names that a terminal cannot show are typed as they are shown, one level after the other.
    private func shownEntry(_ text: String, in found: FoundSnapshot) async throws -> EntryPath? {
        var path = EntryPath.root
        var tree: ContentID? = found.snapshot.tree
        for part in text.split(separator: "/") {
            guard let folder = tree else { return nil }
            let nodes = try await found.reading.repository.tree(folder)
            guard let node = nodes.first(where: { $0.name.description == part }) else {
                return nil
            }
            path = path.appending(node.name)
            tree = node.subtree
        }
        return path
    }
}
