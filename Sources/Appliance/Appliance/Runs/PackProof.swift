import BackupCore
import Drives
import ResticFormat
import ResticRepository
import Synchronization

/// Looks at one drive's repository under the key while an audit compares the drives: what must be
/// read whole to be understood is hashed on the way, so that no pack is read twice.
final class PackProof: Sendable {
    private let copy: DriveBackend
    private let key: MasterKey
    private let judge: ConfigJudge
    private let result = Mutex<Result<StructureReport, BackendError>?>(nil)

    init(_ copy: DriveBackend, _ hold: OwnerHold) {
        self.copy = copy
        key = hold.key
        judge = hold.configJudge
    }

    /// What was found beyond single files; nil when the audit did not come to it.
    var structure: Result<StructureReport, BackendError>? { result.withLock { $0 } }

    /// The prover for an audit.
    var prover: PackProver {
        { packs, read in await self.prove(packs, read) }
    }

    private func prove(
        _ packs: [FileName], _ read: @escaping @Sendable (UInt64) -> Void
    ) async -> [FileName: ReadBack] {
        let cold = ColdCopy(copy)
        let told = Mutex<UInt64>(0)
        let check = StructureCheck(backend: cold, masterKey: key, readData: true) { done, _ in
            read(
                told.withLock { told in
                    defer { told = max(told, done) }
                    return done > told ? done - told : 0
                })
        }
        do throws(BackendError) {
            let report = try await check.run()
            result.withLock { $0 = .success(report) }
            return await prove(packs, report, whole: cold.filesRead)
        } catch {
            result.withLock { $0 = .failure(error) }
            return packs.first.map { [$0: .failed(error)] } ?? [:]
        }
    }

    /// A pack that was read whole and in which nothing is wrong has the right hash. The others (in
    /// no index, or with something wrong that may be the index's fault) are read for it alone.
    private func prove(
        _ packs: [FileName], _ report: StructureReport, whole: Set<FileName>
    ) async -> [FileName: ReadBack] {
        let suspect = Set(report.damagedFiles)
        var found: [FileName: ReadBack] = [:]
        var rest: [FileName] = []
        for pack in packs {
            if whole.contains(pack), !suspect.contains(pack) {
                found[pack] = .good
            } else {
                rest.append(pack)
            }
        }
        await copy.readBack(rest, validConfig: judge, mayRead: { !Task.isCancelled }) {
            file, result, _ in
            found[file] = result
        }
        return found
    }
}
