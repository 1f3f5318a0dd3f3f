import AppleBackup
package import BackupCore
import BackupEngine
package import ControlAPI
import ResticRepository

extension Box {
    /// Gives each entry of a snapshot to `each`, a folder before what is in it; with `path` the
    /// entry there and all beneath. Of an iPhone's backup a path may also be a domain and a path in
    /// it; `isByDomain` lists all of it that way.
    package func entries(
        of snapshot: String, _ filter: QueryFilter, path: String?, isByDomain: Bool = false,
        each: (EntryDocument) -> Void
    ) async throws {
        let found = try await select(snapshot, filter)
        let asked = EntryPath(text: path ?? "")
        var listsContents = isByDomain
        if !listsContents { listsContents = try await self.isByDomain(asked, in: found) }
        if listsContents {
            var entries = try await entries(of: try await contents(of: found), beneath: asked)
            while let page = try await entries.next() {
                for file in page { each(EntryDocument(path: file.path, node: file.node)) }
            }
            return
        }
        let repository = found.reading.repository
        var tree = found.snapshot.tree
        var start = EntryPath.root
        if let path {
            start = try await entry(path, in: found)
            if let node = try await TreeWalk.node(at: start, in: tree, of: repository) {
                each(EntryDocument(path: start, node: node))
                guard let subtree = node.subtree else { return }
                tree = subtree
            }
        }
        for try await element in TreeWalk(tree, at: start, in: repository) {
            each(EntryDocument(path: element.path, node: element.node))
        }
    }

    /// One snapshot in detail: its document's keys, and `tree, parent, hostname, tags, notes`
    /// (`/holdfast.json` as it stands in the snapshot).
    package func show(_ snapshot: String, _ filter: QueryFilter) async throws -> JSONValue {
        let found = try await select(snapshot, filter)
        var document = found.document
        let facts = try await countFacts(of: found.snapshot, in: found.reading.repository)
        document.files = facts.files
        document.bytes = facts.bytes
        let draft = found.snapshot.draft
        return .object(
            (document.json.objectMembers ?? []) + [
                .init("tree", .string(draft.tree.hex)),
                .init("parent", .optional(draft.parent?.hex)),
                .init("hostname", .string(draft.hostname)),
                .init("tags", .array(draft.tags.map(JSONValue.string))),
                .init("notes", try await notes(found)),
            ])
    }

    private func notes(_ found: FoundSnapshot) async throws -> JSONValue {
        let repository = found.reading.repository
        guard
            let node = try await TreeWalk.node(
                at: SnapshotNotes.path, in: found.snapshot.tree, of: repository),
            node.kind == .file, node.byteCount <= 16 << 20
        else { return .null }
        var bytes: [UInt8] = []
        for id in node.content { bytes += try await repository.blob(id) }
        // Another program may have written something else there: then there are no notes.
        return (try? JSONValue.read(bytes)) ?? .null
    }
}
