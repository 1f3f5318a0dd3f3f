import BackupCore
import Synchronization

/// The folders read or stored last: a backup looks each of its parent's folders up several times.
final class TreeCache: Sendable {
    /// All kept folders' entries together.
    private static let keptNodeCount = 50_000

    private struct State {
        var trees: [ContentID: [TreeNode]] = [:]
        /// Oldest first.
        var order: [ContentID] = []
        var nodeCount = 0
    }

    private let state = Mutex(State())

    subscript(id: ContentID) -> [TreeNode]? { state.withLock { $0.trees[id] } }

    /// Keeps a folder and drops the oldest ones beyond the limit.
    func keep(_ nodes: [TreeNode], as id: ContentID) {
        state.withLock { state in
            guard state.trees[id] == nil, nodes.count <= Self.keptNodeCount / 4 else { return }
            state.trees[id] = nodes
            state.order.append(id)
            // An empty folder counts too, or there would be no end to them.
            state.nodeCount += nodes.count + 1
            while state.nodeCount > Self.keptNodeCount {
                let oldest = state.order.removeFirst()
                state.nodeCount -= (state.trees.removeValue(forKey: oldest)?.count ?? 0) + 1
            }
        }
    }
}
