import AppleBackup
import BackupCore
import BackupEngine
import Drives

/// What an iPhone's backup holds, by the phone's own domains and paths
/// (`HomeDomain/Library/SMS/sms.db`).
extension Box {
    /// Whether a path of a backup can only be one by domain: its first name is none of the
    /// snapshot's own.
    func isByDomain(_ path: EntryPath, in found: FoundSnapshot) async throws -> Bool {
        guard found.snapshot.capture == .backup, let first = path.names.first else { return false }
        return try await TreeWalk.node(
            at: EntryPath([first]), in: found.snapshot.tree, of: found.reading.repository) == nil
    }

    /// Opens the list of files in a backup.
    func contents(of found: FoundSnapshot) async throws -> BackupContents {
        let backup = try await backup(in: found)
        return try await BackupContents.open(
            backup.stored, password: try await requiredPassword(of: backup),
            copy: store.root + "/manifest-" + RandomText.hex(8) + ".sqlite")
    }

    /// The entries at and beneath `path` of a backup's contents; `notFound` when there is none.
    func entries(
        of contents: BackupContents, beneath path: EntryPath
    ) async throws -> BackupContents.Entries {
        let entries = try await contents.entries(beneath: path)
        guard !entries.isEmpty else {
            throw ApplianceError(
                .notFound, "\(path) is not in this backup.",
                whatToDo: "Run holdfast ls --contents to see what is in it.")
        }
        return entries
    }

    /// Restores entries of a backup's contents into a folder, under their domains and paths.
    func restoreContents(
        _ found: FoundSnapshot, _ paths: [EntryPath], to target: FolderTarget
    ) async throws -> RestoreReport {
        let contents = try await contents(of: found)
        var report = RestoreReport(run: newRun(), started: clock.now())
        for path in paths {
            var entries = try await entries(of: contents, beneath: path)
            while let page = try await entries.next() {
                for file in page {
                    try Task.checkCancellation()
                    try await restoreOrTell(file, contents, to: target, &report)
                }
            }
        }
        report.outcomes = [report.failedCount == 0 ? .done : .notAllRestored]
        report.messages = [
            "Restored \(Counted.files(report.files)) out of the backup"
                + (report.failedCount == 0 ? "." : "; \(report.failedCount) could not be.")
        ]
        return report
    }

    /// Restores an entry, or notes that it could not be; throws what ends the restore.
    private func restoreOrTell(
        _ file: BackedUpFile, _ contents: BackupContents, to target: FolderTarget,
        _ report: inout RestoreReport
    ) async throws(RestoreError) {
        do throws(RestoreError) {
            try await restore(file, contents, to: target, &report)
        } catch {
            if error.endsTheRestore { throw error }
            report.failedCount += 1
            if report.failed.count < 1000 {
                report.failed.append(.init(path: file.path, reason: error.whatHappened))
            }
        }
    }

    private func restore(
        _ file: BackedUpFile, _ contents: BackupContents, to target: FolderTarget,
        _ report: inout RestoreReport
    ) async throws(RestoreError) {
        guard !file.isFolder else {
            try await makeFolders(file.path, target)
            report.directories += 1
            return
        }
        try await makeFolders(file.path.parent, target)
        let content: ByteSource<RepositoryError>
        do {
            content = try await contents.content(of: file)
        } catch {
            throw RestoreError(.source, error.detail, path: file.path)
        }
        try await target.writeFile(
            file.path, byteCount: file.byteCount, modified: file.modified, mode: nil,
            from: content)
        report.files += 1
        report.bytes += file.byteCount
    }

    private func makeFolders(
        _ path: EntryPath, _ target: FolderTarget
    ) async throws(RestoreError) {
        var folder = EntryPath.root
        for name in path.names {
            folder = folder.appending(name)
            try await target.makeDirectory(folder)
        }
    }
}
