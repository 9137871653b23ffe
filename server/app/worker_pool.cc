#include "server/app/worker_pool.h"

#include <utility>

namespace terrazzo::app {

WorkerPool::WorkerPool(unsigned threads, unsigned cores, std::function<void(unsigned)> wake)
    : wake_(std::move(wake)), results_(cores) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::submit(unsigned core, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.size() >= kJobsMax || stopping_) return false;
    tasks_.push_back({core, std::move(job)});
  }
  ready_.notify_one();
  return true;
}

void WorkerPool::collect(unsigned core) {
  if (!results_[core].any.load(std::memory_order_acquire)) return;
  std::vector<Done> results;
  {
    const std::lock_guard lock(mutex_);
    results.swap(results_[core].done);
    results_[core].any.store(false, std::memory_order_relaxed);
  }
  for (const Done& done : results)
    if (done) done();
}

std::size_t WorkerPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size();
}

bool WorkerPool::idle() const {
  const std::lock_guard lock(mutex_);
  if (!tasks_.empty() || running_ != 0) return false;
  for (const auto& results : results_)
    if (!results.done.empty()) return false;
  return true;
}

bool WorkerPool::run_one() {
  std::unique_lock lock(mutex_);
  if (tasks_.empty()) return false;
  do_one(lock);
  return true;
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    do_one(lock);
  }
}

void WorkerPool::do_one(std::unique_lock<std::mutex>& lock) {
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  ++running_;
  lock.unlock();
  Done done = task.job();
  lock.lock();
  --running_;
  results_[task.core].done.push_back(std::move(done));
  results_[task.core].any.store(true, std::memory_order_release);
  lock.unlock();
  wake_(task.core);
  lock.lock();
}

}  // namespace terrazzo::app
