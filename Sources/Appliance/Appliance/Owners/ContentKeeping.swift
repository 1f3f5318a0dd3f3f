import BackupCore
package import Drives
package import ResticFormat
import ResticRepository

extension ContentKeeper {
    /// What catching up asks about the repository of `masterKey` when drives still hold files that
    /// tombstones name.
    package init(masterKey: MasterKey) {
        let rescue = Rescue(masterKey: masterKey)
        self.init(
            rescue: { copies, gone async throws(BackendError) in
                let mirror = MirroredBackend(copies)
                do throws(RepositoryError) {
                    let superseded = try await rescue.run(on: mirror, without: gone)
                    return ContentKeeper.Rescued(superseded: superseded, behind: mirror.behind)
                } catch {
                    throw error.backend ?? BackendError(.damaged, error.detail)
                }
            },
            losesNothing: { copy, gone async throws(BackendError) in
                try await rescue.losesNothing(on: copy, without: gone)
            })
    }
}
