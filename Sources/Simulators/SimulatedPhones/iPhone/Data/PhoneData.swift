/// Everything a simulated iPhone would put into a backup. A value: a backup works on the copy it
/// took when it began, as a real phone's does on its snapshot.
struct PhoneData: Sendable {
    /// Files that follow from their number.
    private var generated: GeneratedPhoneFiles?
    /// How often a generated file was changed.
    private var versions: [Int: UInt64] = [:]
    /// Generated files that are gone.
    private var removed: Set<Int> = []
    /// Databases, files that were added, renamed or restored.
    private(set) var held: [PhoneItem] = []
    private let databases: PhoneDatabases?
    private let seed: UInt64
    /// How often the phone was used since it was made.
    private(set) var revision: UInt64 = 0

    /// The data of a spec. Throws what SQLite says.
    init(_ spec: PhoneDataSpec) throws {
        seed = spec.seed
        guard !spec.isErased else {
            databases = nil
            return
        }
        let files = GeneratedPhoneFiles(spec)
        generated = files
        databases = PhoneDatabases(
            seed: spec.seed, scale: spec.fileCount, revision: 0,
            photos: files.photos(limit: 10_000))
        held = try databases?.items() ?? []
    }

    /// Positions of items; some are empty.
    var positions: Range<Int> { 0..<(held.count + (generated?.count ?? 0)) }

    /// The item at a position, nil when it is gone.
    func item(at position: Int) -> PhoneItem? {
        if position < held.count { return held[position] }
        let index = position - held.count
        guard let generated, !removed.contains(index) else { return nil }
        return generated.item(index, version: versions[index] ?? 0)
    }

    /// Gives every item with its position, each folder before what lies in it. Folders that
    /// exist because something lies in them have no position.
    func forEachItem(_ body: (PhoneItem, _ position: Int?) throws -> Void) rethrows {
        var folders: Set<String> = []
        var lastFolder = ""
        for held in held where held.kind == .folder {
            folders.insert("\(held.domain)-\(held.path)")
        }
        for position in positions {
            guard let item = item(at: position) else { continue }
            let parent = Self.parent(of: item.path)
            let folder = "\(item.domain)-\(parent)"
            if folder != lastFolder {
                for made in Self.newFolders(item.domain, parent, known: &folders) {
                    try body(made, nil)
                }
                lastFolder = folder
            }
            try body(item, position)
        }
    }

    /// The folder of `path`; the domain's own for the first level.
    private static func parent(of path: String) -> Substring {
        guard let slash = path.utf8.lastIndex(of: 0x2F) else { return "" }
        return path[..<slash]
    }

    private static func newFolders(
        _ domain: String, _ path: Substring, known: inout Set<String>
    ) -> [PhoneItem] {
        var made: [PhoneItem] = []
        var rest = path
        while known.insert("\(domain)-\(rest)").inserted {
            made.append(.folder(domain, String(rest), at: 1_577_836_800))
            guard !rest.isEmpty else { break }
            rest = parent(of: String(rest))
        }
        return made.reversed()
    }

    /// Uses the phone: about `share` (0 to 1) of its files change, each tenth of these is renamed
    /// or deleted instead, as many new ones appear, and the databases get new rows. Throws what
    /// SQLite says.
    mutating func use(share: Double) throws {
        revision += 1
        var random = SeededGenerator(seed: seed &+ revision &* 0x5851_F42D_4C95_7F2D)
        if var databases {
            databases = PhoneDatabases(
                seed: databases.seed, scale: databases.scale, revision: revision,
                photos: databases.photos)
            let fresh = Dictionary(
                try databases.items().map { ($0.fileID, $0) }, uniquingKeysWith: { $1 })
            held = held.map { fresh[$0.fileID] ?? $0 }
        }
        guard let generated else { return useHeld(share: share, &random) }
        for index in 0..<generated.count where Double.random(in: 0..<1, using: &random) < share {
            if removed.contains(index) { continue }
            switch UInt64.random(in: 0..<20, using: &random) {
            case 0: removed.insert(index)
            case 1: rename(index)
            case 2: add(like: index, &random)
            default: versions[index, default: 0] += 1
            }
        }
    }

    /// On a restored phone nothing follows from numbers any more: files get other bytes.
    private mutating func useHeld(share: Double, _ random: inout SeededGenerator) {
        for index in held.indices
        where held[index].kind == .file && Double.random(in: 0..<1, using: &random) < share {
            held[index].modified += 3_600
            held[index].content = .generated(
                DeterministicBytes(
                    seed: random.next(), texture: .noise,
                    byteCount: held[index].content.byteCount))
        }
    }

    private mutating func rename(_ index: Int) {
        guard var item = item(at: held.count + index) else { return }
        removed.insert(index)
        item.path = "\(Self.parent(of: item.path))/renamed-\(revision)-\(index)"
        held.append(item)
    }

    private mutating func add(like index: Int, _ random: inout SeededGenerator) {
        guard var item = item(at: held.count + index) else { return }
        let size = item.content.byteCount
        item.path = "\(Self.parent(of: item.path))/added-\(revision)-\(index)"
        item.modified += 7_200
        item.content = .generated(
            DeterministicBytes(seed: random.next(), texture: .noise, byteCount: size))
        held.append(item)
    }

    /// The data after a restore: these items, and with `keepingOthers` also what they do not
    /// replace.
    func replaced(by items: [PhoneItem], keepingOthers: Bool) -> PhoneData {
        var result = self
        var all = Dictionary(items.map { ($0.fileID, $0) }, uniquingKeysWith: { $1 })
        if keepingOthers {
            for position in positions {
                guard let item = item(at: position) else { continue }
                let id = item.fileID
                if all[id] == nil { all[id] = item }
            }
        }
        result.generated = nil
        result.versions = [:]
        result.removed = []
        result.held = all.values.sorted { ($0.domain, $0.path) < ($1.domain, $1.path) }
        return result
    }
}
