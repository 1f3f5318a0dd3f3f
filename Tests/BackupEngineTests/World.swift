import BackupCore
import BackupEngine
import TestKit

/// A scripted phone, a repository in memory and a clock that stands still.
struct World {
    let phone: ScriptedPhone
    let repository = MemoryRepository()
    let clock = ManualClock()
    let events = EventRecorder()

    init(_ storages: [ScriptedStorage] = [ScriptedStorage("Internal")]) {
        phone = ScriptedPhone(storages)
    }

    /// A phone with `files` files of seeded content in a few folders, 50 to 9,000 bytes each.
    static func filled(files: Int, seed: UInt64 = 1) -> World {
        let world = World()
        var numbers = SeededNumbers(seed: seed)
        let folders = ["DCIM/Camera", "Pictures/Screenshots", "Download", "Music/Own/Deep"]
        for index in 0..<files {
            world.phone.put(
                "Internal/\(folders[index % folders.count])/file\(index).jpg",
                numbers.bytes(Int.random(in: 50...9000, using: &numbers)),
                modified: 1_600_000_000 + Int64(index))
        }
        return world
    }

    static func request(_ number: Int = 1) -> BackupRequest {
        BackupRequest(
            run: RunID(trusted: "run-\(number)"), phone: PhoneID(trusted: "android-1"),
            family: .android, owner: OwnerID(trusted: "ana"), hostname: "box")
    }

    func services(drives: [DriveSpace] = []) -> BackupServices {
        BackupServices(
            clock: clock, hash: testHash, driveSpace: { drives },
            reconnect: { [phone] () async throws(DeviceError) in try phone.reconnect() },
            events: events.sink)
    }

    @discardableResult
    func backup(
        drives: [DriveSpace] = [], _ change: (inout BackupRequest) -> Void = { _ in }
    ) async -> BackupReport {
        var request = Self.request()
        change(&request)
        return await run(request, drives: drives).run(phone.session())
    }

    func run(_ request: BackupRequest = World.request(), drives: [DriveSpace] = []) -> BackupRun {
        BackupRun(request, services: services(drives: drives), repository: repository)
    }

    /// The files of the newest snapshot but for our own.
    func newestFiles() async throws -> [String: [UInt8]] {
        guard let snapshot = try await repository.snapshots().last else { return [:] }
        var files = try await repository.files(of: snapshot.tree)
        files["/holdfast.json"] = nil
        return files
    }

    /// `/holdfast.json` of the newest snapshot as text.
    func newestNotes() async throws -> String {
        guard let snapshot = try await repository.snapshots().last else { return "" }
        let files = try await repository.files(of: snapshot.tree)
        return String(decoding: files["/holdfast.json"] ?? [], as: UTF8.self)
    }

    func node(_ path: String) async throws -> TreeNode? {
        guard let snapshot = try await repository.snapshots().last else { return nil }
        return try await TreeWalk.node(
            at: EntryPath(text: path), in: snapshot.tree, of: repository)
    }
}

extension ScriptedPhone {
    /// All files with their content, by their path as text, as a faithful backup has them.
    func allFiles() -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        change { storages in
            for storage in storages {
                Self.collect(storage.entries, "/\(storage.name)", &found)
            }
        }
        return found
    }

    private static func collect(
        _ entries: [ScriptedEntry], _ path: String, _ found: inout [String: [UInt8]]
    ) {
        for entry in entries {
            switch entry.kind {
            case .file(let content): found["\(path)/\(entry.name)"] = content
            case .folder(let children): collect(children, "\(path)/\(entry.name)", &found)
            case .loop: break
            }
        }
    }
}
