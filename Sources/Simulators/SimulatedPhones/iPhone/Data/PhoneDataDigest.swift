import Glibc

/// Comparing the data of two phones, and looking at it.
extension PhoneData {
    /// Which items are compared.
    enum Scope: String, Sendable {
        /// All.
        case all
        /// What an unencrypted backup holds.
        case plain

        func includes(_ item: PhoneItem) -> Bool {
            self == .all || !(item.isPrivate || item.domain == "KeychainDomain")
        }
    }

    /// How many items a digest covers and SHA-256 over their domains, paths, kinds, modes, dates
    /// and bytes in order: equal digests mean equal data.
    func digest(_ scope: Scope) throws -> (itemCount: Int, text: String) {
        var entries: [(id: String, item: PhoneItem)] = []
        forEachItem { item, _ in
            // A folder's date is its own affair; empty folders and links count like files.
            if scope.includes(item) { entries.append((item.fileID, item)) }
        }
        entries.sort { $0.id < $1.id }
        let hash = RunningHash(.sha256)
        for (_, item) in entries {
            let moment = item.kind == .folder ? 0 : item.modified
            let head = Array(
                "\(item.domain)\0\(item.path)\0\(item.mode)\0\(moment)\0\(item.content.byteCount)\0"
                    .utf8)
            hash.update(head, at: 0, count: head.count)
            try item.content.forEachPiece { hash.update($0, at: 0, count: $1) }
        }
        return (entries.count, hexadecimal(hash.finish()))
    }

    /// Writes the items to `folder`/domain/path. Throws ``PhoneStorageProblem``.
    func export(to folder: String) throws {
        try forEachItem { item, _ in
            let path = "\(folder)/\(item.domain)" + (item.path.isEmpty ? "" : "/\(item.path)")
            switch item.kind {
            case .folder: try Self.makeFolders(path)
            case .link:
                if case .bytes(let target) = item.content {
                    // Sound: both texts live through the call.
                    _ = unsafe symlink(String(decoding: target, as: UTF8.self), path)
                }
            case .file: try Self.write(item, to: path)
            }
        }
    }

    private static func makeFolders(_ path: String) throws {
        var place = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            place += "/\(part)"
            // Sound: the path lives through the call.
            guard unsafe mkdir(place, 0o755) == 0 || errno == EEXIST else {
                throw PhoneStorageProblem(what: "export", code: errno)
            }
        }
    }

    private static func write(_ item: PhoneItem, to path: String) throws {
        // Sound: the path and the buffer live through the calls, `count` is at most the buffer's.
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw PhoneStorageProblem(what: "export", code: errno) }
        defer { close(descriptor) }
        try item.content.forEachPiece { buffer, count in
            let code = WholeTransfers.write(buffer[..<count], to: descriptor)
            guard code == 0 else { throw PhoneStorageProblem(what: "export", code: code) }
        }
    }
}
