import BackupCore
import BackupEngine
import ControlAPI

extension Box {
    /// The phone's files in a snapshot and their bytes, from the catalog or counted in the tree.
    func countFacts(
        of snapshot: Snapshot, in repository: any SnapshotRepository
    ) async throws -> Catalog.SnapshotFacts {
        if let known = catalog.facts(of: snapshot.id) { return known }
        var facts = Catalog.SnapshotFacts(isComplete: !snapshot.isPartial, files: 0, bytes: 0)
        for try await element in TreeWalk(snapshot.tree, in: repository) {
            guard element.node.kind == .file, !Self.isOurs(element.path) else { continue }
            facts.files += 1
            let (sum, overflow) = facts.bytes.addingReportingOverflow(element.node.byteCount)
            facts.bytes = overflow ? .max : sum
        }
        catalog.remember(facts, of: snapshot.id)
        return facts
    }

    /// Whether an entry is one of the product's own files at a snapshot's root.
    static func isOurs(_ path: EntryPath) -> Bool {
        path == SnapshotNotes.path || path == EntryPath(["holdfast-dates.ndjson"])
    }

    /// A phone's own name: as last seen here, else as its snapshot tells.
    func phoneName(
        of snapshot: Snapshot, in repository: any SnapshotRepository
    ) async -> String? {
        guard let phone = snapshot.phone else { return nil }
        // A name is a comfort: whatever cannot be read leaves it out.
        if let record = try? store.phone(phone) { return record.name }
        if let known = catalog.phoneNames(phone) { return known.name }
        guard let notes = try? await SnapshotNotes.of(tree: snapshot.tree, in: repository) else {
            return nil  // as above
        }
        catalog.remember(
            name: notes.name, model: notes.model, os: notes.osVersion, of: phone)
        return notes.name
    }
}
