import BackupCore
import ControlAPI
import Glibc
import ResticRepository
import Synchronization

/// The ids of our own lock files on the drives, durable before the files are, so that the next
/// run removes what a killed one left.
final class LockDiaryFile: Sendable {
    private let path: String
    private let ids: Mutex<[ContentID]>

    /// The diary of an owner's repository.
    init(_ store: StateStore, owner: OwnerID) throws(ApplianceError) {
        path = store.folder(of: owner) + "/locks"
        let bytes = try StateFiles.read(path) ?? []
        // A line that is no id was cut by a power loss before its lock was written.
        ids = Mutex(
            String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap {
                ContentID(hex: $0)
            })
    }

    /// All ids that may still lie on a drive.
    var known: [ContentID] { ids.withLock { $0 } }

    /// Forgets ids that are on no drive any more.
    func forget(_ gone: Set<ContentID>) {
        ids.withLock { ids in
            ids.removeAll { gone.contains($0) }
            // An id too many is looked for once more by the next run and harms nothing.
            try? save(ids)
        }
    }

    /// The diary as the repository's locks want it.
    var diary: LockDiary {
        LockDiary(
            willWrite: { id throws(BackendError) in
                let failure: ApplianceError? = self.ids.withLock { ids in
                    ids.append(id)
                    do throws(ApplianceError) {
                        try self.save(ids)
                        return nil
                    } catch {
                        return error
                    }
                }
                if let failure { throw BackendError(.io, failure.whatHappened) }
            },
            didRemove: { id in self.forget([id]) })
    }

    private func save(_ ids: [ContentID]) throws(ApplianceError) {
        let text = ids.map { $0.hex + "\n" }.joined()
        try StateFiles.write(Array(text.utf8), to: path)
    }
}

/// Since when locks of other programs have been seen lying on the drives, across our runs.
///
/// Times are of the boot's own clock, so a boot makes them worthless and they are forgotten.
final class LockMemoryFile: LockMemory {
    private let path: String
    private let boot: String
    private let clock: any RunClock
    private let seen: Mutex<[String: Int64]>

    /// The memory of an owner's repository on one drive.
    init(_ store: StateStore, owner: OwnerID, drive: DriveID, clock: any RunClock) {
        path = store.folder(of: owner) + "/foreign-locks-\(drive)"
        self.clock = clock
        boot = Self.bootID()
        // Unreadable means unknown: a foreign lock is then respected for longer, never shorter.
        let bytes = (try? StateFiles.read(path)) ?? []
        let json = try? JSONValue.read(bytes)
        var seen: [String: Int64] = [:]
        if let json, json["boot"]?.text == boot {
            for member in json["seen"]?.objectMembers ?? [] {
                if let seconds = member.value.int64 { seen[member.key] = seconds }
            }
        }
        self.seen = Mutex(seen)
    }

    func knownFor(_ lock: ContentID) -> Duration {
        let now = clock.elapsed().components.seconds
        return seen.withLock { seen in
            if let since = seen[lock.hex], since <= now { return .seconds(now - since) }
            seen[lock.hex] = now
            save(seen)
            return .zero
        }
    }

    func keepOnly(_ present: Set<ContentID>) {
        let names = Set(present.map(\.hex))
        seen.withLock { seen in
            let kept = seen.filter { names.contains($0.key) }
            guard kept.count != seen.count else { return }
            seen = kept
            save(seen)
        }
    }

    private func save(_ seen: [String: Int64]) {
        let members = seen.sorted { $0.key < $1.key }.map {
            JSONValue.Member($0.key, .integer($0.value))
        }
        let json: JSONValue = .members(["boot": .string(boot), "seen": .object(members)])
        // As above: what is not remembered only makes us wait longer.
        try? StateFiles.write(Array((json.line + "\n").utf8), to: path)
    }

    /// The kernel's random id of this boot; empty when it cannot be read, which then is a boot of
    /// its own.
    private static func bootID() -> String {
        // Without it nothing is remembered across boots that should not be: see init.
        let bytes = (try? StateFiles.read("/proc/sys/kernel/random/boot_id")) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first
            .map(String.init) ?? ""
    }
}
